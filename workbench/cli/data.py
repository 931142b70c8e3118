"""`workbench data`: data sets of one's own; `workbench sheet`: what the embedded data looks like."""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from workbench.cli.options import COUNT, Command, any_number, completing, one_of, runs_folder, whole_number
from workbench.core.errors import Refused

data_commands = typer.Typer()
data_verbs = typer.Typer(help="Check, look at and convert data sets. See also: workbench data check --help, and so on.")

_Folder = Annotated[
    Path | None,
    typer.Argument(metavar="[FOLDER]", help="Of the data set; COCO's layout and others, see docs/data.md"),
]
_Train = Annotated[
    list[str] | None,
    typer.Option(
        "--train", metavar="FILE:FOLDER", help="In place of FOLDER: annotations to train on, and their images"
    ),
]
_Val = Annotated[
    list[str] | None,
    typer.Option("--val", metavar="FILE:FOLDER", help="The same to be judged on; both may be given several times"),
]


@data_verbs.command("check", cls=Command, epilog="Example: workbench data check ../coco")
def check_command(
    folder: _Folder = None,
    train: _Train = None,
    val: _Val = None,
    decode: Annotated[bool, typer.Option("--decode", help="Also decode every image")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the findings as JSON")] = False,
) -> int:
    """Say whether a data set is fit to train and judge on. Exit code 0: it is, 1: it is not, with the findings."""
    from workbench.data.datasets.checking import data_report

    found = data_report(_data_set(folder, train, val), decode=decode)
    print(json.dumps(found.as_dict(), indent=1, allow_nan=False) if as_json else "\n".join(found.lines()))
    return 0 if found.fit else 1


@data_verbs.command("show", cls=Command, epilog="Example: workbench data show ../coco -o pictures")
def show_command(
    folder: _Folder = None,
    train: _Train = None,
    val: _Val = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", metavar="FOLDER", help="Of the pictures (default: that of the runs)")
    ] = None,
    part: Annotated[
        str, typer.Option("--part", metavar="NAME", parser=one_of("parts"), help="One of {parts}")
    ] = "train",
    count: Annotated[int, typer.Option("--count", metavar="N", parser=COUNT, help="How many images")] = 12,
) -> int:
    """Draw images with their persons: ids, boxes, and key points with their numbers, which are named beside them."""
    from workbench.data.datasets.folder import open_dataset
    from workbench.data.numbered import write_pictures

    dataset = open_dataset(_data_set(folder, train, val), part)  # pyright: ignore[reportArgumentType]: of the list
    for path in write_pictures(dataset, out or runs_folder() / "pictures", count):
        print(path)
    return 0


@data_verbs.command("convert", cls=Command, epilog="Example: workbench data convert export/ -o ../mine --val-share 0.2")
def convert_command(
    out: Annotated[Path, typer.Option("--out", "-o", metavar="FOLDER", help="That is not there yet, or empty")],
    folder: _Folder = None,
    train: _Train = None,
    val: _Val = None,
    to: Annotated[
        str, typer.Option("--to", metavar="NAME", parser=one_of("layouts"), help="One of {layouts}")
    ] = "coco",
    val_share: Annotated[
        float,
        typer.Option("--val-share", metavar="SHARE", parser=any_number, help="Judge on that share of the images"),
    ] = 0.0,
) -> int:
    """Write a data set anew, as it was put right."""
    from workbench.data.datasets.export import convert_dataset

    found = convert_dataset(_data_set(folder, train, val), out, to, val_share)  # pyright: ignore[reportArgumentType]
    print(f"{out}: {', '.join(f'{count:,} images of {part}' for part, count in found.items())}")
    return 0


def _data_set(folder: Path | None, train: list[str] | None, val: list[str] | None) -> Path:
    """The folder that is given, or one with the list of the files that are."""
    if folder is not None:
        if train or val:
            raise Refused("a folder and --train or --val are given; give one or the other")
        return folder
    if not train or not val:
        raise Refused("no data set is given; expected its folder, or --train FILE:FOLDER and --val FILE:FOLDER")
    from workbench.data.datasets.listed import write_list

    parts = [[_file_and_folder(text) for text in texts] for texts in (train, val)]
    there = [[[str(path.resolve()) for path in pair] for pair in part] for part in parts]
    name = hashlib.sha256(json.dumps(there).encode()).hexdigest()[:12]
    place = write_list(runs_folder() / "data" / "lists" / name, *parts)
    print(f"as a data set: {place}", file=sys.stderr)
    return place


def _file_and_folder(text: str) -> tuple[Path, Path]:
    file, colon, folder = text.rpartition(":")
    if not (file and colon and folder):
        raise Refused(f"{text!r}: expected FILE:FOLDER, as in labels/train.json:images/train")
    return Path(file), Path(folder)


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
    size: Annotated[
        int, typer.Option("--size", metavar="N", parser=whole_number(32, 2048), help="Pixels of a side")
    ] = 160,
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
