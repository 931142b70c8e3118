"""`workbench trunk`: the stored trunks are trained."""

from __future__ import annotations

from typing import Annotated

import typer

from workbench.cli.names import check_trunks
from workbench.cli.options import Command, completing, runs_folder

trunk_commands = typer.Typer()


@trunk_commands.command("trunk", cls=Command, epilog="Example: workbench trunk joint")
def trunk_command(
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="NAME", help="Of {trunks} (default: all)", autocompletion=completing("trunks")),
    ] = None,
) -> int:
    """Train the stored trunks. Hours on a CPU each; one that was cut off goes on."""
    check_trunks(names or [])
    from workbench.experiments.trunks import train_trunks
    from workbench.training.machine import this_machine

    return train_trunks(names or [], runs_folder(), this_machine())
