"""`workbench init`: a folder for studies and components of one's own."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer

from workbench.cli.options import Command

project_commands = typer.Typer()


@project_commands.command("init", cls=Command, epilog="Example: workbench init my_studies")
def init_command(folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="A new one")]) -> int:
    """Make a folder of your own: a study, a search and a component to change, and where their pages come.

    Commands that are run there find them before what is installed, and write there.
    """
    from workbench.experiments.project import write_project

    for path in write_project(folder):
        print(path)
    print(f"next: cd {shlex.quote(str(folder))} && workbench study my_study --protocol smoke")
    return 0
