"""`workbench evaluate`: what a trained network or a file of results is worth on annotated images."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from workbench.cli.names import check_source
from workbench.cli.options import Command, completing, refuse_options_but, runs_folder
from workbench.cli.predict import (
    NETWORK_HELP,
    AsJsonText,
    DeviceOrBest,
    MaxPersons,
    NmsThreshold,
    PictureBatch,
    ScoreThreshold,
    WeightsFile,
    named_finder,
    say_unreadable,
)
from workbench.cli.progress import progress_shown
from workbench.core.errors import Refused

if TYPE_CHECKING:
    from workbench.experiments.judge import Judgement

evaluate_commands = typer.Typer()

_Network = Annotated[
    str | None, typer.Argument(metavar="[NETWORK]", help=NETWORK_HELP, autocompletion=completing("released"))
]
_Data = Annotated[
    Path | None,
    typer.Option(
        "--data",
        metavar="FOLDER",
        help="A data set, see docs/data.md (default: the scenes that a job was judged on)",
    ),
]
_Results = Annotated[
    Path | None,
    typer.Option("--results", metavar="FILE", help="In place of a network: what was found, in COCO's results form"),
]
_Truth = Annotated[
    Path | None, typer.Option("--truth", metavar="FILE", help="The annotations that --results are judged by")
]


@evaluate_commands.command(
    "evaluate", cls=Command, epilog="Example: workbench evaluate rtmo-s-coco --data ../coco --json"
)
def evaluate_command(
    ctx: typer.Context,
    network: _Network = None,
    data: _Data = None,
    results: _Results = None,
    truth: _Truth = None,
    weights: WeightsFile = None,
    score_threshold: ScoreThreshold = None,
    nms_threshold: NmsThreshold = None,
    max_persons: MaxPersons = 100,
    device: DeviceOrBest = None,
    batch: PictureBatch = 8,
    as_json: AsJsonText = False,
) -> int:
    """Judge a network on a data set, or a file of results by annotations: COCO's or CrowdPose's numbers, and errors.

    Exit code 0: on all images, 1: some could not be read, with their names.
    """
    if network is None:
        if results is None or truth is None:
            raise Refused("evaluate: nothing to judge; expected NETWORK --data FOLDER, or --results FILE --truth FILE")
        refuse_options_but(ctx, {"results", "truth", "as_json"}, "evaluate --results: there is no network to run")
        for name, file in (("--results", results), ("--truth", truth)):
            if not file.is_file():
                raise Refused(f"{name} {file}: no such file")
        from workbench.experiments.judge import judge_results

        return _told(judge_results(results, truth), as_json)
    refuse_options_but(ctx, _OF_NETWORKS, f"evaluate {network}: it finds persons itself")
    check_source(network, weights)
    from workbench.experiments.judge import judge_network, judged_on
    from workbench.inference.finder import WantedPersons

    finder = named_finder(network, weights, WantedPersons(score_threshold, nms_threshold, max_persons), device)
    images = judged_on(finder, data, runs_folder())
    with progress_shown(len(images.ids), "images") as tick:
        found = judge_network(finder, images, batch, tick)
    return _told(found, as_json)


_OF_NETWORKS = {
    "data", "weights", "score_threshold", "nms_threshold", "max_persons", "device", "batch", "as_json"
}  # fmt: skip


def _told(found: Judgement, as_json: bool) -> int:
    if not as_json:
        for note in found.notes:
            print(note, file=sys.stderr)
    print(json.dumps(found.as_dict(), indent=1, allow_nan=False) if as_json else "\n".join(found.lines()))
    say_unreadable(found.unreadable, found.images + len(found.unreadable))
    return 1 if found.unreadable else 0
