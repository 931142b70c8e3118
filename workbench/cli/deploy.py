"""`workbench deploy`: a trained network as a file that runs elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, cast

import typer

from workbench.cli.names import check_network, check_source
from workbench.cli.options import COUNT, Command, any_number, completing, one_of
from workbench.core.errors import Refused

deploy_commands = typer.Typer()
_NO_ONNX = "is written already"


@deploy_commands.command("deploy", cls=Command, epilog="Example: workbench deploy rtmo-s-coco -o rtmo-s.onnx")
def deploy_command(
    source: Annotated[
        str,
        typer.Argument(
            metavar="NAME",
            help="A released model ({released}), a file of weights, or the folder of a job; with --weights a preset, a "
            "backbone in RTMO-s or STUDY:ROW, see workbench cost --help",
            autocompletion=completing("any_network"),
        ),
    ],
    out: Annotated[Path, typer.Option("-o", "--out", metavar="FILE.onnx", help="The file to write")],
    weights: Annotated[
        Path | None,
        typer.Option("--weights", metavar="FILE", help="Of the network, where it has none; or the folder of a job"),
    ] = None,
    precision: Annotated[
        str,
        typer.Option(
            "--precision",
            metavar="NAME",
            parser=one_of("file_precisions"),
            help="One of {file_precisions}",
            autocompletion=completing("file_precisions"),
        ),
    ] = "float32",
    calibrate: Annotated[
        Path | None,
        typer.Option(
            "--calibrate", metavar="FOLDER", help="Images like those to come: to compare the two, and int8 needs them"
        ),
    ] = None,
    score_threshold: Annotated[
        float | None,
        typer.Option(
            "--score-threshold",
            metavar="SCORE",
            parser=any_number,
            help="Persons score above it (default: that of its training, 0.1 of a released model)",
        ),
    ] = None,
    nms_threshold: Annotated[
        float | None,
        typer.Option(
            "--nms-threshold",
            metavar="IOU",
            parser=any_number,
            help="Above it the better box stays (default: likewise)",
        ),
    ] = None,
    max_persons: Annotated[
        int, typer.Option("--max-persons", metavar="N", parser=COUNT, help="Per image, the best ones")
    ] = 100,
    fixed: Annotated[
        bool,
        typer.Option(
            "--fixed",
            help="For other programs: thresholds are constants, each image has --max-persons rows, whoever is in it",
        ),
    ] = False,
    random_weights: Annotated[
        bool, typer.Option("--random-weights", help="Read no weights: to try sizes and times")
    ] = False,
) -> int:
    """Write a trained network as an ONNX file, and compare the two."""
    if precision == "int8" and fixed:
        raise Refused(
            "--precision int8 --fixed: OpenCV and OpenVINO round bytes in their own ways and find other persons; use "
            "--precision fp16 for them, or leave out --fixed for ONNX Runtime"
        )
    if random_weights and weights is not None:
        raise Refused(f"--weights {weights} and --random-weights: give one of the two")
    if random_weights:
        check_network(source, _NO_ONNX)
    else:
        check_source(source, weights, _NO_ONNX)
    import torch

    from workbench.inference import load
    from workbench.inference.deployed import Precision
    from workbench.inference.finder import WantedPersons

    torch.set_num_threads(1)
    wanted = WantedPersons(score_threshold, nms_threshold, max_persons)
    wanted.of(None)  # refuses what is out of range before anything is read
    try:
        from workbench.inference import onnx_export
    except ImportError as error:
        raise Refused(f"deploy: {error.name} is missing; install rtmo-workbench[onnx]") from error
    trained = load.load_untrained(source) if random_weights else load.load_trained(source, weights)
    print(onnx_export.deploy(trained, out, cast(Precision, precision), wanted.of(trained), calibrate, fixed))
    return 0
