"""`workbench weights`: what a file of weights is, and the same weights under another program's names."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from workbench.cli.options import Command, completing, one_of
from workbench.core.errors import Refused

weight_verbs = typer.Typer(help="Look at and convert files of weights. See also: workbench weights show --help.")

_File = Annotated[
    str, typer.Argument(metavar="FILE", help=".pth and its like, .safetensors or .npz; or the folder of a job")
]


@weight_verbs.command("show", cls=Command, epilog="Example: workbench weights show rtmo-s.pth")
def show_weights_command(
    file: _File, as_json: Annotated[bool, typer.Option("--json", help="Print it as JSON")] = False
) -> int:
    """Say whose names the weights have, which network they fit, and what is beside them. Exit code 1: it fits none."""
    _check_file(file)
    from workbench.models.weight_report import weight_report

    found = weight_report(file)
    print(json.dumps(found.as_dict(), indent=1, allow_nan=False) if as_json else "\n".join(found.lines()))
    return 0 if found.fits else 1


@weight_verbs.command("convert", cls=Command, epilog="Example: workbench weights convert a.pth -o b.safetensors")
def convert_weights_command(
    file: _File,
    out: Annotated[
        Path, typer.Option("-o", "--out", metavar="FILE", help="Ending in .safetensors for workbench, else in .pth")
    ],
    to: Annotated[
        str,
        typer.Option(
            "--to",
            metavar="NAME",
            parser=one_of("weight_names"),
            help="Whose names: one of {weight_names}",
            autocompletion=completing("weight_names"),
        ),
    ] = "workbench",
) -> int:
    """Write the same numbers under another program's names. There and back nothing changes."""
    _check_file(file)
    from workbench.models.weight_export import convert_weights

    print(convert_weights(file, out, to))  # pyright: ignore[reportArgumentType]: of the list
    return 0


def _check_file(file: str) -> None:
    if not Path(file).exists():
        raise Refused(f"{file}: no such file; expected a file of weights or the folder of a job")
