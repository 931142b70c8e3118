"""Jobs that pause: they are not complete, can be queued again with a later epoch, and survive what is killed."""

import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from tests.experiments.fakes import FAKED, SETTING, STUDY, finish, log, quick, start
from workbench.experiments.job_queue import JobQueue, stored_entries
from workbench.experiments.kept_plan import lines_of
from workbench.experiments.plan import StudyRun
from workbench.experiments.queue_entry import JobState, QueueEntry
from workbench.experiments.states import print_states
from workbench.experiments.worker_pool import TrainJob, WorkerPool, WorkerSettings, work_off
from workbench.models.job import Job
from workbench.study import PlannedJob
from workbench.training.machine import Machine
from workbench.training.record import Progress, Result, job_folder
from workbench.training.rung import Paused, read_pause, rung_of, write_pause

pytestmark = FAKED
NAME = "some/search"
LONG = replace(SETTING, protocol=replace(SETTING.protocol, epochs=4))


def plan(until: int) -> dict[str, PlannedJob]:
    return {one.job.key: replace(one, until=until) for one in STUDY.planned_jobs(LONG, 1)}


def resting(
    job: Job, machine: Machine, home: Path, data: Path | None, tell: Callable[[Progress], None], until: int
) -> Result | Paused:
    """Trains nothing, and waits where it is asked to. What has been reached is only read."""
    if not until or until == job.protocol.last:
        return finish(job, home, tell)
    folder = job_folder(home, job.key)
    if rung_of(folder) < until:
        with (home / "log").open("a") as file:
            file.write(f"rung {until} {job.key}\n")
        write_pause(folder, job.key, until, {})
    return read_pause(folder)


def dying_before(
    job: Job, machine: Machine, home: Path, data: Path | None, tell: Callable[[Progress], None], until: int
) -> Result | Paused:
    """The first attempt at each rung kills its own process."""
    _die_once(home / f"killed {until} {job.key}")
    return resting(job, machine, home, data, tell, until)


def dying_after(
    job: Job, machine: Machine, home: Path, data: Path | None, tell: Callable[[Progress], None], until: int
) -> Result | Paused:
    """The same, when the rung has been written and the queue does not know of it."""
    found = resting(job, machine, home, data, tell, until)
    _die_once(home / f"killed {until} {job.key}")
    return found


def lingering(
    job: Job, machine: Machine, home: Path, data: Path | None, tell: Callable[[Progress], None], until: int
) -> Result | Paused:
    time.sleep(0.5)
    return resting(job, machine, home, data, tell, until)


def _die_once(mark: Path) -> None:
    if not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)


def drain(home: Path, train: TrainJob, planned: Mapping[str, PlannedJob]) -> dict[str, QueueEntry]:
    with WorkerPool(WorkerSettings(home, NAME, Machine(), None, train), 2) as pool:
        return work_off(JobQueue(home, NAME), planned, pool)


def states(entries: Mapping[str, QueueEntry]) -> set[tuple[JobState, int, bool]]:
    return {(entry.state, entry.rung, entry.queued) for entry in entries.values()}


@pytest.mark.slow
def test_a_paused_job_waits_until_a_later_epoch_is_asked_for(tmp_path: Path) -> None:
    queue, settings = JobQueue(tmp_path, NAME), WorkerSettings(tmp_path, NAME, Machine(), None, resting)
    assert states(queue.fill(plan(1))) == {(JobState.PLANNED, 0, True)}
    queue.work(settings.train_job)
    assert states(queue.fill(plan(1))) == {(JobState.PAUSED, 1, False)}, "asked for again, it is done"
    assert not queue.waiting()
    assert states(queue.fill(plan(3))) == {(JobState.PAUSED, 1, True)}
    queue.work(settings.train_job)
    assert states(queue.fill(plan(2))) == {(JobState.PAUSED, 3, False)}, "it is past that"
    assert states(stored_entries(tmp_path, "no/plan", plan(0))) == {(JobState.PAUSED, 3, False)}
    queue.fill(plan(0))
    queue.work(settings.train_job)
    assert states(queue.fill(plan(1))) == {(JobState.COMPLETE, 0, False)}
    outcomes = [(t.state.name, t.user_attrs["outcome"]) for t in queue.attempts()]
    assert outcomes == [("PRUNED", "paused")] * 6 + [("COMPLETE", "complete")] * 3
    assert log(tmp_path) == {f"{word} {key}": 1 for key in plan(0) for word in ("rung 1", "rung 3", "begin", "end")}


@pytest.mark.soak
@pytest.mark.timeout(300)
@pytest.mark.parametrize("train", [dying_before, dying_after])
def test_a_killed_worker_loses_no_rung_and_does_none_twice(train: TrainJob, tmp_path: Path) -> None:
    assert states(drain(tmp_path, train, plan(1))) == {(JobState.PAUSED, 1, False)}
    assert states(drain(tmp_path, train, plan(0))) == {(JobState.COMPLETE, 0, False)}
    assert log(tmp_path) == {f"{word} {key}": 1 for key in plan(0) for word in ("rung 1", "begin", "end")}
    killed = {t.user_attrs["key"] for t in JobQueue(tmp_path, NAME).attempts() if t.state.name == "FAIL"}
    assert killed == set(plan(0))


@pytest.mark.soak
@pytest.mark.timeout(300)
def test_a_killed_parent_goes_on_from_the_rungs_that_were_reached(tmp_path: Path) -> None:
    process = multiprocessing.get_context("fork").Process(target=_as_group, args=(tmp_path,))
    process.start()
    end = time.monotonic() + 120
    while not log(tmp_path) and time.monotonic() < end:
        time.sleep(0.05)
    assert process.pid is not None
    os.killpg(process.pid, signal.SIGKILL)
    process.join()
    cut = [key for key in plan(2) if f"rung 2 {key}" in log(tmp_path) and not rung_of(job_folder(tmp_path, key))]
    assert states(drain(tmp_path, resting, plan(2))) == {(JobState.PAUSED, 2, False)}
    assert log(tmp_path) == {f"rung 2 {key}": 1 + (key in cut) for key in plan(2)}, "only what was cut off is repeated"


def _as_group(home: Path) -> None:
    os.setsid()
    drain(home, lingering, plan(2))


@pytest.mark.slow
def test_a_job_that_fails_on_its_way_to_a_later_rung_says_so(tmp_path: Path) -> None:
    """And it is tried three times; where it had paused before is still known."""

    def broken(job: Job, tell: Callable[[Progress], None], until: int) -> Result:
        raise RuntimeError("not finite")

    (key, one), *_ = plan(1).items()
    queue = JobQueue(tmp_path, NAME)
    queue.fill({key: one})
    queue.work(WorkerSettings(tmp_path, NAME, Machine(), None, resting).train_job)
    for _ in range(5):
        queue.fill({key: replace(one, until=0)})
        queue.work(broken)
    entry = queue.fill({key: replace(one, until=0)})[key]
    assert (entry.state, entry.failures, entry.rung, entry.queued) == (JobState.FAILED, 3, 1, False)
    assert queue.fill({key: one})[key].reached(1), "what was reached is not lost"


@pytest.mark.slow
def test_a_study_completes_what_another_plan_left_paused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    drain(tmp_path, resting, plan(1))
    assert start(StudyRun(STUDY, LONG, tmp_path, seeds=1), quick) == 0
    assert "3 of 3 complete" in capsys.readouterr().out


def test_the_states_say_after_which_epoch_a_job_waits(capsys: pytest.CaptureFixture[str]) -> None:
    planned = plan(1)
    entries = {key: QueueEntry(JobState.PAUSED, rung=4) for key in planned}
    print_states(lines_of(planned.values()), entries)
    assert capsys.readouterr().out.count("paused after 4") == 3
    assert entries[next(iter(planned))].reached(4) and not entries[next(iter(planned))].reached(0)
