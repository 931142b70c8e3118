"""`workbench predict`: the persons in pictures and videos of one's own."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from workbench.cli.names import check_source
from workbench.cli.options import COUNT, Command, any_number, completing, one_of, runs_folder, whole_number
from workbench.cli.progress import progress_shown

if TYPE_CHECKING:
    from workbench.inference.finder import PersonFinder, WantedPersons

predict_commands = typer.Typer()

NETWORK_HELP = "A released model ({released}), a checkpoint, the folder of a job, or an ONNX file of workbench deploy"
NetworkFile = Annotated[
    str,
    typer.Argument(
        metavar="NETWORK",
        help=NETWORK_HELP,
        autocompletion=completing("released"),
    ),
]
WeightsFile = Annotated[
    Path | None,
    typer.Option(
        "--weights",
        metavar="FILE",
        help="Of a released model, where they are here (default: downloaded), or of a network that has none",
    ),
]
ScoreThreshold = Annotated[
    float | None,
    typer.Option(
        "--score-threshold",
        metavar="SCORE",
        parser=any_number,
        help="Persons score above it (default: as the network was judged in training, 0.1 of released ones)",
    ),
]
NmsThreshold = Annotated[
    float | None,
    typer.Option(
        "--nms-threshold",
        metavar="IOU",
        parser=any_number,
        help="Above it the better box stays (default: likewise, 0.65)",
    ),
]
MaxPersons = Annotated[int, typer.Option("--max-persons", metavar="N", parser=COUNT, help="Per image, the best ones")]
DeviceOrBest = Annotated[
    str | None,
    typer.Option(
        "--device",
        metavar="NAME",
        parser=one_of("devices"),
        help="One of {devices} (default: cuda where it is there)",
        autocompletion=completing("devices"),
    ),
]
PictureBatch = Annotated[
    int, typer.Option("--batch", metavar="N", parser=COUNT, help="Pictures that go through the network together")
]
AsJsonText = Annotated[bool, typer.Option("--json", help="Print what was done as JSON")]


_Inputs = Annotated[
    list[str],
    typer.Argument(
        metavar="INPUT",
        help="Pictures, videos, folders, 'patterns*', addresses, 0 for the first camera (Ctrl+C ends it), or - for one "
        "picture on standard input",
    ),
]
_Out = Annotated[
    Path | None,
    typer.Option(
        "-o", "--out", metavar="FOLDER", help="For drawings and predictions.json (default: in that of the runs)"
    ),
]
_DrawThreshold = Annotated[
    float,
    typer.Option(
        "--draw-threshold",
        metavar="SCORE",
        parser=any_number,
        help="Persons and key points below it are in predictions.json alone",
    ),
]
_Frames = Annotated[
    int, typer.Option("--frames", metavar="N", parser=whole_number(0), help="Of each video or camera; 0: all")
]
_Show = Annotated[
    bool, typer.Option("--show", help="Show each drawing in a window; a key goes on, Escape ends the showing")
]


@predict_commands.command(
    "predict", cls=Command, epilog="Example: workbench predict rtmo-s-coco photo.jpg folder/ -o out"
)
def predict_command(
    network: NetworkFile,
    inputs: _Inputs,
    out: _Out = None,
    weights: WeightsFile = None,
    score_threshold: ScoreThreshold = None,
    nms_threshold: NmsThreshold = None,
    max_persons: MaxPersons = 100,
    draw_threshold: _DrawThreshold = 0.3,
    device: DeviceOrBest = None,
    batch: PictureBatch = 8,
    frames: _Frames = 0,
    show: _Show = False,
    as_json: AsJsonText = False,
) -> int:
    """Draw the persons in pictures and videos, and list them in COCO's results form.

    Exit code 0: all inputs were read, 1: some could not be, with their names.
    """
    check_source(network, weights)
    folder = out or runs_folder() / "predicted"
    from workbench.inference.sources import find_sources

    sources = find_sources(inputs, folder)
    from workbench.inference.window import Window

    screen = Window() if show else None
    from workbench.inference.finder import WantedPersons
    from workbench.inference.predict import PredictOptions, predict

    finder = named_finder(network, weights, WantedPersons(score_threshold, nms_threshold, max_persons), device)
    options = PredictOptions(batch=batch, draw_threshold=draw_threshold, frames=frames)
    total = None if any(one.moves for one in sources) else len(sources)
    with progress_shown(total) as tick:
        done = predict(finder, sources, folder, options, tick=tick, screen=screen)
    print(json.dumps(done.as_dict(), indent=1, allow_nan=False) if as_json else "\n".join(done.lines()))
    say_unreadable(done.unreadable, len(sources))
    return 1 if done.unreadable else 0


def named_finder(network: str, weights: Path | None, wanted: WantedPersons, device: str | None) -> PersonFinder:
    """What finds persons; of a run of one's own it says first which network that trains."""
    from workbench.experiments.own_run import name_of_run
    from workbench.inference.finder import open_finder

    finder, name = open_finder(network, weights, wanted, device), name_of_run(Path(network))
    return replace(finder, source=f"{name}, {finder.source}") if name else finder


_NAMED = 3  # of what could not be read


def say_unreadable(unreadable: Mapping[str, str], count: int) -> None:
    """On standard error: how many of the inputs could not be read, and the first of them with the reason."""
    if unreadable:
        first = "; ".join(f"{name}: {reason}" for name, reason in list(unreadable.items())[:_NAMED])
        print(f"{len(unreadable):,} of {count:,} could not be read, first {first}", file=sys.stderr)
