"""`workbench sheet`: what the embedded data looks like."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from workbench.cli.options import COUNT, Command, completing, one_of, runs_folder, whole_number
from workbench.core.errors import Refused

data_commands = typer.Typer()


@data_commands.command("sheet", cls=Command, epilog="Example: workbench sheet --level hard --out hard.png")
def sheet_command(
    level: Annotated[
        str,
        typer.Option(
            "--level",
            metavar="NAME",
            parser=one_of("levels"),
            help="One of {levels}",
            autocompletion=completing("levels"),
        ),
    ] = "easy",
    size: Annotated[int, typer.Option("--size", metavar="N", parser=COUNT, help="Pixels of a side")] = 160,
    count: Annotated[int, typer.Option("--count", metavar="N", parser=COUNT, help="How many samples")] = 40,
    columns: Annotated[int, typer.Option("--columns", metavar="N", parser=COUNT, help="Samples in a line")] = 8,
    seed: Annotated[int, typer.Option("--seed", metavar="N", parser=whole_number(0), help="Of the samples")] = 0,
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="FILE", help="A .png or .jpg to write (default: in the folder of the runs)"),
    ] = None,
) -> int:
    """Draw samples of the embedded data with their key points."""
    import cv2

    from workbench.data.draw import contact_sheet
    from workbench.data.synthetic.dataset import SyntheticScenes

    scenes = SyntheticScenes(level=level, size=size, seed=seed, count=count)
    sheet = contact_sheet([scenes[i] for i in range(count)], columns=columns)
    path = out or runs_folder() / f"sheet_{level}.png"
    if not (cv2.haveImageWriter(str(path)) and cv2.imwrite(str(path), sheet)):
        raise Refused(f"--out {path}: cannot write there; expected a file ending in .png or .jpg in an existing folder")
    print(path)
    return 0
