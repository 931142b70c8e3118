"""Search: which job runs when. The plan is ours, the ledger says who has claimed what.

A study under a setting is a plan of job keys. A key is complete when its folder holds `result.json`, whatever else is
recorded. Each round puts every key into the ledger that is neither complete nor running nor waiting and has failed
fewer than three times; worker processes take them from there. So nothing is lost when a process dies, and nothing is
done twice when the same command runs twice at the same time.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from workbench.core.errors import Refused, one_line
from workbench.data.datasets.folder import dataset_fingerprint
from workbench.experiments import claims, console, sequential, tracking
from workbench.experiments.console import JobState, QueueEntry
from workbench.experiments.job_queue import JobQueue
from workbench.experiments.noop_check import check_distinct
from workbench.experiments.plan import CPU, StudyRun, TrainJob, UntilDecided
from workbench.experiments.worker_pool import WorkerPool, terminable
from workbench.study import PlannedJob, Study, StudyProtocol
from workbench.training.machine import Machine
from workbench.training.record import Progress, Result
from workbench.training.run import run

POLL = 0.3  # seconds between two looks at the ledger


def run_study(
    study: Study,
    setting: StudyProtocol,
    *,
    data: Path | None = None,
    seeds: int | None = None,
    jobs: int | None = None,
    sets: Mapping[str, Any] | None = None,
    until: UntilDecided | None = None,
    home: Path,
    machine: Machine,
    train: TrainJob = run,
) -> int:
    """Does what is missing of a study, shows it while it goes on, and prints the table and the verdicts.

    Args:
        seeds: per row, until decided of the first round; None is the study's own.
        jobs: worker processes, one thread each; None is one per core, or one where there is a GPU.
        sets: further changes of every job, as `Study.cells` takes them.
        until: when to stop adding seeds; None adds none.
        train: what a worker does with a job.

    Returns:
        0 all complete, 1 something is missing, 130 interrupted.

    Raises:
        Refused: rows that can not be told apart, or a home that can not hold a ledger.
    """
    order = _order(study, setting, home, data, sets, machine, train)
    cells = order.asked(seeds, until)
    _check_data(cells, data)
    check_distinct(cells)
    if (terms := order.terms(seeds, until)) is not None:
        sequential.write_settings(home, order.name, terms)
    book = tracking.MlflowRecord(home, study, setting, order.sets)
    with terminable():
        try:
            with WorkerPool(order, jobs or _cores(machine)) as crew:
                cells, entries = _rounds(order, partial(order.asked, seeds, until), crew, book)
        except KeyboardInterrupt:
            cells = order.asked(seeds, until)
            console.say(f"stopped: {_tally(cells, JobQueue(order).settle(cells))}; the same command goes on from there")
            return 130
    return _conclude(order, cells, entries, book)


def _rounds(
    order: StudyRun, asked: Callable[[], list[PlannedJob]], crew: WorkerPool, book: tracking.MlflowRecord
) -> tuple[list[PlannedJob], dict[str, QueueEntry]]:
    """Works off what is asked for until nothing is added. A plain study is one round."""
    done: list[PlannedJob] = []
    entries: dict[str, QueueEntry] = {}
    while len(cells := asked()) > len(done):
        with console.Display(f"{order.study.name}, {order.setting.name}") as screen:
            entries |= _work_off(order, cells[len(done) :], crew, screen, book)
        done = cells
    return done, entries


def retry(study: Study, setting: StudyProtocol, *, home: Path, **which: Any) -> int:
    """Forgets the failures of a study, refusals included, so that the next run tries these jobs again.

    Args:
        which: `data`, `seeds`, `sets` and `until`, as for `run_study`.

    Returns:
        how many jobs that frees.
    """
    order, cells = _asked(study, setting, home, **which)
    return JobQueue(order).forgive({cell.job.key for cell in cells})


def status(study: Study, setting: StudyProtocol, *, home: Path, **which: Any) -> int:
    """Prints the state of every cell. Changes nothing. Arguments as `retry`.

    Returns:
        0 all complete, 1 something is missing.
    """
    order, cells = _asked(study, setting, home, **which)
    entries = JobQueue(order).entries({cell.job.key for cell in cells})
    console.print_states(cells, entries)
    print(_tally(cells, entries))
    if (terms := order.terms(which.get("seeds"), which.get("until"))) is not None:
        console.print_looks(order.course(terms))
    return 0 if _complete(cells, entries) == len(cells) else 1


def replay(study: Study, setting: StudyProtocol, *, home: Path, seeds: int | None = None, **which: Any) -> int:
    """Prints what until decided would have saved of a finished study: runs used, and whether the verdicts are the same.

    Args:
        seeds: per row, that the study was run with; None is its own.
        which: `data` and `sets`, as for `run_study`.
    """
    order, _ = _asked(study, setting, home, seeds=seeds, **which)
    count = 1 + max(cell.seed for cell in order.cells(seeds))
    console.print_replay(sequential.replay_looks(study, setting, order.cells, order.find, count))
    return 0


def _asked(
    study: Study,
    setting: StudyProtocol,
    home: Path,
    data: Path | None = None,
    seeds: int | None = None,
    sets: Mapping[str, Any] | None = None,
    until: UntilDecided | None = None,
) -> tuple[StudyRun, list[PlannedJob]]:
    order = _order(study, setting, home, data, sets)
    return order, order.asked(seeds, until)


def _order(
    study: Study,
    setting: StudyProtocol,
    home: Path,
    data: Path | None,
    sets: Mapping[str, Any] | None,
    machine: Machine = CPU,
    train: TrainJob = run,
) -> StudyRun:
    changes = dict(sets or {})
    if data is not None:
        if setting.trunks:
            raise Refused(
                f"--data {data}: protocol {setting.name} stands on frozen trunks of the embedded scenes; "
                "add a protocol that trains from scratch, such as --protocol smoke or laptop"
            )
        changes["protocol.data"] = dataset_fingerprint(data)
    for made, blamed in (({}, f"study {study.name} under protocol {setting.name}:"), (changes, "--set")):
        try:
            study.cells(setting, 1, made)
        except KeyError as error:
            raise Refused(f"{blamed} {error.args[0]}") from None
    return StudyRun(study, setting, home, machine, data, changes, train)


def _check_data(cells: Sequence[PlannedJob], data: Path | None) -> None:
    """At once, not job by job."""
    name = cells[0].job.protocol.data
    if data is None and not name.startswith("figures-"):
        raise Refused(f"this protocol wants a data set ({name or 'COCO layout'}): add --data FOLDER")


def _tally(cells: Sequence[PlannedJob], entries: Mapping[str, QueueEntry]) -> str:
    return f"{_complete(cells, entries)} of {len(cells)} complete"


def _complete(cells: Sequence[PlannedJob], entries: Mapping[str, QueueEntry]) -> int:
    return sum(entries[cell.job.key].state is JobState.COMPLETE for cell in cells)


def _conclude(
    order: StudyRun,
    cells: Sequence[PlannedJob],
    entries: Mapping[str, QueueEntry],
    book: tracking.MlflowRecord,
) -> int:
    """The table, the verdicts, what is missing. Once looked at until decided, a study is judged so ever after."""
    results = [(cell, order.result(cell.job.key)) for cell in cells if entries[cell.job.key].state is JobState.COMPLETE]
    console.print_table(order.study, order.setting, results)
    console.print_noise_floor(claims.noise_floor(order.study, results))
    console.print_warnings(results)
    terms = sequential.read_settings(order.home, order.name)
    course = None if terms is None else order.course(terms)
    judged = claims.judge_study(order.study, order.setting, results) if course is None else course.claims
    console.print_verdicts(judged)
    if course is not None:
        console.print_looks(course)
    _summarise(order, results, judged, book)
    missing = [cell for cell in cells if entries[cell.job.key].state is not JobState.COMPLETE]
    if missing:
        console.print_states(missing, entries)
    print(
        _tally(cells, entries)
        + (f"; to try failed ones again: workbench study retry {order.study.name}" * bool(missing))
    )
    return 1 if missing else 0


def _work_off(
    order: StudyRun, cells: Sequence[PlannedJob], crew: WorkerPool, screen: console.Display, book: tracking.MlflowRecord
) -> dict[str, QueueEntry]:
    """Rounds until nothing waits or runs. Each round fills the ledger, staffs it and records what has been finished."""
    ledger = JobQueue(order)
    plan = {cell.job.key: cell for cell in cells}  # cells may share a job
    said = {key: entry.ended for key, entry in ledger.entries(plan).items()}
    recorded: set[str] = set()
    while True:
        entries = ledger.fill(plan)
        running = [key for key, entry in entries.items() if entry.state is JobState.RUNNING]
        crew.staff(sum(entry.queued for entry in entries.values()), [entries[key].owner for key in running])
        screen.update(cells, entries, {key: _progress(order.folder(key)) for key in running})
        for key in plan:
            if entries[key].ended > said[key] and entries[key].note:
                screen.say(f"{console.job_title(plan[key])} ({key}): {entries[key].note}")
            said[key] = entries[key].ended
        fresh = [key for key in plan if entries[key].state is JobState.COMPLETE and key not in recorded]
        if fresh:  # one at a time: workers and display come first
            _record(order, [cell for cell in cells if cell.job.key == fresh[0]], book, screen)
            recorded.add(fresh[0])
        elif any(entry.queued or entry.state is JobState.RUNNING for entry in entries.values()):
            crew.rest(POLL)
        else:
            return entries


def _record(order: StudyRun, cells: Sequence[PlannedJob], book: tracking.MlflowRecord, screen: console.Display) -> None:
    """Into MLflow. A record that can not be written is said and made by the next run: the result itself is safe."""
    try:
        result = order.result(cells[0].job.key)
        for cell in cells:
            book.record(cell, result.metrics, result.curve, result.tags, result.folder)
    except Exception as error:
        screen.say(f"not recorded: {cells[0].row}, seed {cells[0].seed}: {one_line(error)}; run the same command again")


def _summarise(
    order: StudyRun,
    results: Sequence[tuple[PlannedJob, Result]],
    judged: Sequence[claims.ClaimResult],
    book: tracking.MlflowRecord,
) -> None:
    """The same into MLflow, on the setting's own page."""
    try:
        book.summarise(console.summary_text(order.study, order.setting, results, judged))
    except Exception as error:
        console.say(f"not recorded: the summary: {one_line(error)}; run the same command again")


def _progress(folder: Path) -> Progress | None:
    try:
        return Progress(**json.loads((folder / "progress.json").read_text("utf-8")))
    except (OSError, ValueError, TypeError):
        return None  # not yet said, or just withdrawn


def _cores(machine: Machine) -> int:
    if machine.device.startswith("cuda"):
        return 1
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
