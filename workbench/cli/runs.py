"""`workbench compare` and `workbench rerun`: runs beside each other, and one of them again."""

from __future__ import annotations

import math
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from workbench.cli.options import Command, DataFolder, runs_folder
from workbench.cli.printed import print_json, remark
from workbench.cli.progress import ProgressLine
from workbench.core.errors import printable
from workbench.core.processes import INTERRUPTED, interruptible

if TYPE_CHECKING:
    from workbench.experiments.rerun import Again
    from workbench.experiments.two_runs import MetricOfTwo, TwoRuns
    from workbench.training.record import Progress

past_commands = typer.Typer()

_RUN_HELP = "A run's folder, the key of its job, or its number in MLflow"
_Run = Annotated[str, typer.Argument(metavar="RUN", help=_RUN_HELP)]
_AsJson = Annotated[bool, typer.Option("--json", help="Print what came out as JSON")]


@past_commands.command("compare", cls=Command, epilog="Example: workbench compare runs/first runs/second")
def compare_command(
    first: _Run,
    second: Annotated[str, typer.Argument(metavar="RUN", help="The other one, on the same images")],
    data: DataFolder = None,
    as_json: _AsJson = False,
) -> int:
    """Show what one run is ahead of another on the same images, with intervals, and on which images they disagree.

    --data gives the images their names; the folder that the first run was trained on is known.
    """
    from workbench.experiments.run_folders import run_folder
    from workbench.experiments.two_runs import compare_runs

    home = runs_folder(False)
    one, other = run_folder(first, home), run_folder(second, home)
    found = compare_runs(one, other, data or _data_of(one))
    if as_json:
        print_json(found.as_dict())
    else:
        _print(found)
    return 0


def _data_of(folder: Path) -> Path | None:
    """The data set that a run was begun with, where the run says it and it still is there."""
    from workbench.experiments.own_run import RUN_FILE, begun_in

    found = begun_in(folder).own.data if (folder / RUN_FILE).is_file() else None
    return found if found is not None and found.is_dir() else None


def _print(found: TwoRuns) -> None:
    from rich.table import Table

    from workbench.experiments.console import NO_NUMBER, console

    print(f"A: {found.first}\nB: {found.second}\n{found.images:,} images of {found.data}")
    table = Table("metric", "A", "B", "B - A", "95 % over images", "", box=None, header_style="dim")
    for one in found.metrics:
        table.add_row(*_cells(one))
    console().print(table)
    if any(math.isnan(value) for one in found.metrics for value in (one.first, one.second)):
        print(f"{NO_NUMBER}: that run has matched no person, so there is nothing to take the mean of.")
    print("What is not open, other images would say of these two as well; what other seeds would say is not known.")
    if found.unlike:
        print("Where they disagree most, in the mean OKS of an image's persons:")
        table = Table("image", "persons", "A", "B", box=None, header_style="dim")
        for image in found.unlike:
            shares = f"{image.first:.3f}", f"{image.second:.3f}"
            table.add_row(image.file or str(image.image), str(image.persons), *shares)
        console().print(table)
    for note in found.notes:
        print(f"note: {printable(note)}")


def _cells(one: MetricOfTwo) -> list[str]:
    from workbench.evaluation.metrics import METRICS
    from workbench.experiments.console import NO_NUMBER, difference_text

    metric = METRICS[one.metric]
    low, high = (difference_text(one.metric, value, more=1) for value in (one.low, one.high))
    undecided = "" if not _known(one) else "open" if one.low < one.high else "equal"
    ahead = {"first": "A is ahead", "second": "B is ahead", "": undecided}[one.ahead]
    interval = f"{low} to {high}" if _known(one) else ""
    values = [metric.text(value) or NO_NUMBER for value in (one.first, one.second)]
    head = metric.head or f"{metric.name}, {metric.shown.unit}".removesuffix(", ")
    return [head, *values, difference_text(one.metric, one.difference), interval, ahead]


def _known(one: MetricOfTwo) -> bool:
    return math.isfinite(one.low) and math.isfinite(one.high)


@past_commands.command("rerun", cls=Command, epilog="Example: workbench rerun runs/first")
def rerun_command(
    which: _Run,
    data: DataFolder = None,
    as_json: _AsJson = False,
) -> int:
    """Train a run of the record again in a fresh folder, and show whether it gives the same numbers.

    It takes the threads and the precision of the record. Exit code 0: bit-identical, 1: not, with the first number that
    differs and what differs of machine and versions. The same command goes on with one that was interrupted.
    """
    from workbench.core.provenance import slow_bf16
    from workbench.experiments.rerun import machine_of, rerun_folder, train_again
    from workbench.experiments.run_folders import run_folder
    from workbench.training.record import read_result

    home = runs_folder()
    old = run_folder(which, home)
    result = read_result(old)
    folder, machine = rerun_folder(result.key, home), machine_of(result.tags)
    if said := slow_bf16([machine.precision], machine.device):
        remark(said)
    line = ProgressLine(sys.stderr.isatty())
    with interruptible() as check:

        def tell(progress: Progress) -> None:
            check()
            line(progress)

        try:
            remark(f"again in {folder}")
            with line:
                found = train_again(old, folder, home, data or _data_of(old), tell)
        except KeyboardInterrupt:
            remark("stopped; the same command goes on")
            return INTERRUPTED
    if as_json:
        print_json(found.as_dict())
    else:
        _print_again(found)
    return 0 if found.identical else 1


def _print_again(found: Again) -> None:
    if found.identical:
        print(f"bit-identical: {found.compared:,} numbers and tensors of job {found.key}, again in {found.folder}")
    else:
        print(f"job {found.key}, again in {found.folder}: the first number that differs, after {found.compared - 1:,}")
        print(printable(f"  {found.first_unlike}"))
    for name, (then, now) in found.provenance.items():
        print(printable(f"  {name}: {then or 'not known'} then, {now or 'not known'} now"))
    if not (found.identical or found.provenance):
        print("  code, machine, threads, precision and torch are the same")
