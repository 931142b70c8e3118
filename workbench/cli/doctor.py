"""`workbench doctor`: whether this machine is fit for the workbench."""

from __future__ import annotations

from typing import Annotated

import typer

from workbench.cli.options import Command, runs_folder
from workbench.cli.printed import print_json

doctor_commands = typer.Typer()


@doctor_commands.command("doctor", cls=Command, epilog="Example: workbench doctor --json")
def doctor_command(as_json: Annotated[bool, typer.Option("--json", help="Print the findings as JSON")] = False) -> int:
    """Show versions, devices, stores, data, missing extras and free disk, and what to do where one is wrong.

    Exit code 0: what the default needs is there, 1: something of it is broken. Nothing is changed.
    """
    from workbench.experiments.doctor import Health, examine

    found = examine(runs_folder(False))
    broken = sum(one.state is Health.BROKEN for one in found)
    if as_json:
        print_json({"fit": not broken, "findings": [one.as_dict() for one in found]})
    else:
        print(*found, sep="\n")
        print(f"{broken} broken: marked with !!" if broken else "fit: what the default needs is there")
    return 1 if broken else 0
