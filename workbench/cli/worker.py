"""`workbench worker`: another machine at work on the jobs of a study or a search."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Annotated, Any

import typer

from workbench.cli.options import (
    COUNT,
    Command,
    DataFolder,
    FilesAddress,
    FirstSeed,
    ProtocolName,
    Sets,
    StoreAddress,
    StudyName,
    TrunkFile,
    use_shared,
)
from workbench.cli.study_runs import asked_study, check_words, on_trunk_asked, planned_run
from workbench.core.errors import Refused

if TYPE_CHECKING:
    from workbench.experiments.plan import StudyRun
    from workbench.experiments.search.plan import SearchRun

worker_commands = typer.Typer()

_CORES = re.compile(r"\d+(-\d+)?(,\d+(-\d+)?)*")


def core_numbers(given: Any) -> tuple[int, ...]:
    """Reads processor cores, as in 0-3,8: numbers and ranges that hold both their ends."""
    text = str(given)
    if not _CORES.fullmatch(text):
        raise typer.BadParameter(f"{text!r}: expected numbers of processor cores, as in 0-3,8")
    ends = [part.partition("-") for part in text.split(",")]
    return tuple(dict.fromkeys(core for low, _, high in ends for core in range(int(low), int(high or low) + 1)))


@worker_commands.command(
    "worker",
    cls=Command,
    epilog="Exit codes: 0 nothing waits any more, 2 refused, 130 interrupted.\n\n"
    "Example: workbench worker ablate_dcc --store postgresql://me@db/runs",
)
def worker_command(
    ctx: typer.Context,
    name: StudyName,
    store: StoreAddress = None,
    files: FilesAddress = None,
    protocol: ProtocolName = None,
    data: DataFolder = None,
    first_seed: FirstSeed = 0,
    sets: Sets = None,
    jobs: Annotated[
        int | None,
        typer.Option("--jobs", metavar="N", parser=COUNT, help="Jobs at a time (default: one per GPU, or per core)"),
    ] = None,
    cores: Annotated[
        Any,
        typer.Option(
            "--cores",
            metavar="LIST",
            parser=core_numbers,
            help="Keep to these processor cores, as in 0-3,8, and each job to its share of them",
        ),
    ] = None,
    wait: Annotated[bool, typer.Option("--wait", help="Stay when nothing waits, for what is still to come")] = False,
    trunk: TrunkFile = None,
) -> int:
    """Take jobs that workbench study has queued, on this machine, until none waits. It takes the options that the study
    was given, the same WORKBENCH_HOME or --files, and one GPU for each job where there are any. A job that was cut off
    goes on."""
    check_words(name, sets)
    use_shared(store, files)
    keep_to(cores)
    from workbench.core import processes

    processes.prepare()  # imports while we do
    from workbench.experiments import joined

    run = _meant(ctx, name, protocol, data, first_seed, sets, trunk)
    return joined.join(run.home, run.name, run.data, jobs=jobs, cores=cores or (), wait=wait)


def keep_to(cores: tuple[int, ...] | None) -> None:
    """Keeps this process, and all that it starts, to some processor cores; None: to those that it has.

    Raises:
        Refused: it may not use one of them.
    """
    if not cores:
        return
    if not hasattr(os, "sched_setaffinity"):
        raise Refused("--cores: this system can not keep a process to processor cores; leave it out")
    usable = os.sched_getaffinity(0)
    if odd := sorted(set(cores) - usable):
        raise Refused(f"--cores: core {odd[0]} can not be used here; there are {', '.join(map(str, sorted(usable)))}")
    os.sched_setaffinity(0, cores)


def _meant(
    ctx: typer.Context, name: str, protocol: str | None, data: Any, first_seed: int, sets: Any, trunk: str | None
) -> StudyRun | SearchRun:
    """The run whose queue it is.

    Raises:
        Refused: nothing is trained under its name, or it can not stand on that trunk.
    """
    from workbench.cli.searches import planned
    from workbench.space import Search
    from workbench.study import Study

    asked, under = asked_study(name, protocol)
    if isinstance(asked, Search):
        return planned(ctx, asked, under, data, sets, None, None, None)
    if not isinstance(asked, Study) or not under.trains:
        raise Refused(f"worker {name}: nothing is trained under {under.name}, so no jobs can wait")
    asked, under = on_trunk_asked(asked, under, trunk, data)
    return planned_run(asked, under, data, sets, None, first_seed)
