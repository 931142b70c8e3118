"""`workbench search sizes`: settings of one trained network, for what they cost."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from workbench.cli.names import check_source
from workbench.cli.options import COUNT, THREAD_COUNT, completing, runs_folder, whole_number
from workbench.core.errors import Refused


def sides(given: Any) -> tuple[int, ...]:
    """Reads `416,512`."""
    if not re.fullmatch(r"[0-9]{1,5}(,[0-9]{1,5})*", text := str(given)):
        raise typer.BadParameter(f"{text[:60]!r}: expected multiples of 32 with commas, as in 416,512")
    return tuple(map(int, text.split(",")))


def grids(given: Any) -> tuple[tuple[int, int], ...]:
    """Reads `96x128,192x256`."""
    if not re.fullmatch(r"[0-9]{1,5}x[0-9]{1,5}(,[0-9]{1,5}x[0-9]{1,5})*", text := str(given)):
        raise typer.BadParameter(f"{text[:60]!r}: expected bins on x and y with commas, as in 96x128,192x256")
    return tuple((int(x), int(y)) for x, y in (grid.split("x") for grid in text.split(",")))


def words(given: Any) -> tuple[str, ...]:
    """Reads `torch,onnx`."""
    return tuple(word for word in str(given).split(",") if word)


Source = Annotated[
    str,
    typer.Argument(
        metavar="CHECKPOINT",
        help="A released model ({released}), a checkpoint file, or the folder of a job",
        autocompletion=completing("released"),
    ),
]
Judged = Annotated[
    Path | None,
    typer.Option(
        "--data",
        metavar="FOLDER",
        help="Images in COCO or CrowdPose layout (default: the scenes that the job was judged on)",
    ),
]
Sides = Annotated[
    Any,
    typer.Option(
        "--sizes", metavar="N,...", parser=sides, help="Pixels of a side (default: a few around its own size)"
    ),
]
Grids = Annotated[
    Any, typer.Option("--bins", metavar="XxY,...", parser=grids, help="Of sine encodings (default: its own)")
]
Precisions = Annotated[
    Any,
    typer.Option(
        "--precisions",
        metavar="NAME,...",
        parser=words,
        help="{precisions}, or several with commas (default: those that save time here)",
        autocompletion=completing("precisions"),
    ),
]
Runtimes = Annotated[
    Any,
    typer.Option(
        "--runtimes",
        metavar="NAME,...",
        parser=words,
        help="{runtimes}, or several with commas (default: torch, and onnx where it is installed)",
        autocompletion=completing("runtimes"),
    ),
]
Images = Annotated[
    int | None,
    typer.Option("--images", metavar="N", parser=COUNT, help="Judge on the first N (default: on all)"),
]
Persons = Annotated[
    int, typer.Option("--persons", metavar="N", parser=whole_number(0), help="Found in the image that is timed")
]
Threads = Annotated[int, typer.Option("--threads", metavar="N", parser=THREAD_COUNT, help="Of the CPU")]
Seconds = Annotated[
    int,
    typer.Option("--seconds", metavar="N", parser=COUNT, help="Of timing at most, if the ratios are known before"),
]
Anyway = Annotated[bool, typer.Option("--anyway", help="Time on a busy machine, too")]
Out = Annotated[
    Path | None,
    typer.Option("-o", "--out", metavar="FOLDER", help="For table and pictures (default: in that of the runs)"),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print the numbers as JSON")]


def sizes_command(
    source: Source,
    data: Judged = None,
    sizes: Sides = None,
    bins: Grids = None,
    precisions: Precisions = None,
    runtimes: Runtimes = None,
    images: Images = None,
    persons: Persons = 10,
    threads: Threads = 2,
    seconds: Seconds = 60,
    anyway: Anyway = False,
    out: Out = None,
    as_json: AsJson = False,
) -> int:
    """Compare input sizes, bins, precisions and runtimes of one trained network. Nothing is trained."""
    check_source(source, onnx="has no layers that are known here")
    import torch

    from workbench.core.provenance import slow_bf16
    from workbench.experiments.size_settings import Asked, combined_settings
    from workbench.experiments.sizes import Judging, Timing, measure_sizes
    from workbench.inference.load import load_trained
    from workbench.report import sizes_table

    if said := slow_bf16(precisions or ()):
        _progress(said)
    torch.set_num_threads(threads)
    trained = load_trained(source)
    settings = combined_settings(trained, Asked(sizes or (), bins or (), runtimes or (), precisions or ()))
    judging = Judging(runs_folder(), data, images or 0)
    folder = out or runs_folder() / "sizes" / re.sub(r"\W+", "_", trained.source)
    _make(folder)
    found = measure_sizes(trained, settings, judging, Timing(persons, threads, seconds, anyway), _progress)
    print(sizes_table.sizes_json(found) if as_json else sizes_table.sizes_text(found))
    _write(found, folder)
    return 0


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise Refused(f"--out {folder}: {error.strerror}; name a folder that can be written to") from None


def _progress(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _write(found: Any, folder: Path) -> None:
    """The table and the picture, and where they are."""
    from workbench.core.files import write_whole
    from workbench.report.drawing import png, svg
    from workbench.report.sizes_figure import sizes_figure
    from workbench.report.sizes_table import sizes_csv

    figure = sizes_figure(found)
    content = {"csv": sizes_csv(found).encode(), "png": png(figure), "svg": svg(figure).encode()}
    for kind, data in content.items():
        with write_whole(path := folder / f"sizes.{kind}") as part:
            part.write_bytes(data)
        _progress(str(path))
