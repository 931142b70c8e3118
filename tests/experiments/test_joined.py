"""Machines that join in: they do what waits, nothing twice, and take over from the dead alone."""

from __future__ import annotations

import multiprocessing
import os
import signal
import socket
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import psutil
import pytest
from optuna.trial import TrialState

from tests.experiments.fakes import FAKED, SETTING, STUDY, log, quick, start
from tests.experiments.storm import Run, Storm, machine, once_each, trivial, weather
from tests.small import small_job
from workbench.core.errors import Refused
from workbench.experiments import job_queue, joined, queue_entry, stores
from workbench.experiments.job_files import last_epoch
from workbench.experiments.job_queue import JobQueue
from workbench.experiments.joined import gpu_names, join
from workbench.experiments.object_store import FILES_VARIABLE
from workbench.experiments.plan import StudyRun
from workbench.experiments.queue_entry import JobState
from workbench.experiments.stores import store_of
from workbench.experiments.worker_pool import WorkerSettings
from workbench.models.job import Job
from workbench.study import PlannedJob
from workbench.training.machine import Machine
from workbench.training.record import Progress, Result, job_folder, read_result, write_losses
from workbench.training.run import run as train_job
from workbench.training.rung import Paused

pytestmark = FAKED
NAME = "fake/test"


def plan(seeds: int = 1) -> dict[str, PlannedJob]:
    return {one.job.key: one for one in STUDY.planned_jobs(SETTING, seeds)}


# Without a database: on the machine of the file


def test_what_waits_is_done(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    JobQueue(tmp_path, NAME).fill(plan())
    assert join(tmp_path, NAME, jobs=2, machine=Machine(), train=quick) == 0
    assert all(log(tmp_path)[f"end {key}"] == 1 for key in plan())
    out = capsys.readouterr().out
    assert f"workers for {NAME} in {tmp_path / 'optuna.db'}, 2 at a time" in out and "nothing waits any more" in out


def test_where_nothing_was_planned_nothing_is_made(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert join(tmp_path, NAME, machine=Machine(), train=quick) == 0
    assert f"has no jobs of {NAME}; workbench study plans them" in capsys.readouterr().out
    assert not list(tmp_path.iterdir())


def test_it_can_wait_for_the_plan_and_is_asked_to_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(joined, "LOOK", 0.05)
    process = machine("here", Run(tmp_path, NAME), 1, train=quick)
    time.sleep(0.2)
    queue = JobQueue(tmp_path, NAME)
    queue.fill(plan())
    end = time.monotonic() + 60
    while {one.state for one in queue.entries(plan()).values()} != {JobState.COMPLETE}:
        assert time.monotonic() < end and process.is_alive()
        time.sleep(0.05)
    process.terminate()
    process.join(60)
    assert process.exitcode == 130


def test_jobs_of_a_killed_worker_are_queued_again_without_the_plan(tmp_path: Path) -> None:
    """And left to those who have the plan when they have killed three of them where they stood."""
    key = next(iter(plan()))
    JobQueue(tmp_path, NAME).fill({key: plan()[key]})
    loads = []
    for _ in range(4):
        killed(tmp_path)
        loads.append(JobQueue(tmp_path, NAME).revive())
    assert [load.waiting for load in loads] == [1, 1, 0, 0] and not any(load.owners for load in loads)
    JobQueue(tmp_path, NAME).fill({key: plan()[key]})
    for epoch in (2, 4):
        killed(tmp_path, trained=epoch)
        assert JobQueue(tmp_path, NAME).revive().waiting == 1, "it gets on"


def killed(home: Path, trained: int = 0) -> None:
    """A worker that takes a job, gets as far as some epoch, and dies."""

    def die(job: Job, tell: Callable[[Progress], None], until: int) -> Result:
        if trained:
            write_losses(job_folder(home, job.key), [{"epoch": float(trained)}])
        os.kill(os.getpid(), signal.SIGKILL)
        raise AssertionError

    process = multiprocessing.get_context("fork").Process(target=lambda: JobQueue(home, NAME).work(die))
    process.start()
    process.join()


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_study_goes_on_under_another_name_of_its_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a new container with the same volume. Nobody can see the old worker, which is dead: silence tells."""
    monkeypatch.setattr(stores, "HEARTBEAT", 1)
    key = next(iter(plan()))
    queue = JobQueue(tmp_path, NAME)
    queue.fill({key: plan()[key]})
    old = machine("old", Run(tmp_path, NAME), 1, train=cut_off)
    folder = job_folder(tmp_path, key)
    while not (folder / "checkpoint.pt").exists():
        time.sleep(0.05)
    kill_all(old)
    run = StudyRun(STUDY, SETTING, tmp_path, rows=(STUDY.rows[0].label,), seeds=1)
    monkeypatch.setattr(StudyRun, "name", NAME)
    assert start(run, cut_off, jobs=1) == 0
    assert (folder / "went_on_from").read_text() == "old" and not (folder / "twice").exists()


@pytest.mark.parametrize(
    ("given", "device", "ranks", "names"),
    [(None, "cpu", 1, []), (None, "cuda", 2, ["0", "1"]), ("3,5", "cuda", 2, ["3", "5"]), ("3", "cpu", 1, [])],
)
def test_gpus_have_the_names_that_their_processes_know(
    given: str | None, device: str, ranks: int, names: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if given is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", given)
    assert gpu_names(Machine(device, ranks=ranks)) == names


# With a database


@pytest.fixture
def run(database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """A run whose heartbeats are quick: silence of eight seconds is the end."""
    monkeypatch.setattr(stores, "HEARTBEAT", 2)
    monkeypatch.setattr(joined, "LOOK", 0.2)
    monkeypatch.setattr(job_queue, "GRACE", 3.0)
    return Run(tmp_path, NAME)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_short_storm_loses_and_doubles_nothing(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """A long one is `test_storm.py`."""
    monkeypatch.setattr(joined, "LOOK", 1.0)
    monkeypatch.setattr(queue_entry, "LIMIT", 100)  # a job that is killed too often under one command is given up
    storm, jobs = Storm(run, workers=2, every=0.5, most=4), dict(list(plan(34).items())[:100])
    once_each(weather(storm, jobs), jobs)
    assert storm.kills >= 3


def cut_off(
    job: Job, machine: Machine, home: Path, data: Path | None, tell: Callable[[Progress], None], until: int
) -> Result:
    """An epoch, and then nothing more is heard: the file `silent` says that the worker hangs, or is gone."""
    folder = job_folder(home, job.key)
    if not (folder / "checkpoint.pt").exists():
        (folder / "checkpoint.pt").write_text(socket.gethostname())
        write_losses(folder, [{"epoch": 1.0}])
        while True:
            tell(Progress(1, 2, 0.5, 100.0, 1.0, {}, {}))
            time.sleep(0.05)
    (folder / "went_on_from").write_text((folder / "checkpoint.pt").read_text())
    return trivial(job, machine, home, data, tell, until)


@pytest.mark.soak
@pytest.mark.timeout(300)
def test_the_job_of_a_dead_machine_goes_on_elsewhere_and_that_of_a_living_one_does_not(run: Run) -> None:
    one, key = plan(), next(iter(plan()))
    queue, jobs = JobQueue(run.home, NAME), {key: one[key]}
    queue.fill(jobs)
    far = machine("far", run, 1, train=cut_off)
    folder = job_folder(run.home, key)
    while not (folder / "checkpoint.pt").exists():
        time.sleep(0.05)
    near = machine("near", run, 1, train=cut_off)
    end = time.monotonic() + 10  # more than it takes to give up one who is silent
    while time.monotonic() < end:
        assert queue.fill(jobs)[key].state is JobState.RUNNING and not (folder / "went_on_from").exists()
        time.sleep(0.2)
    kill_all(far)
    assert queue.fill(jobs)[key].state is JobState.RUNNING, "it may be that it can not be heard"
    end = time.monotonic() + 60
    while queue.fill(jobs)[key].state is not JobState.COMPLETE:
        assert time.monotonic() < end
        time.sleep(0.2)
    near.terminate()
    near.join(60)
    assert (folder / "went_on_from").read_text() == "far" and not (folder / "twice").exists()


def kill_all(process: Any) -> None:
    """A machine and its workers, at once, as when its power fails."""
    command = psutil.Process(process.pid)
    for one in [command, *command.children(recursive=True)]:
        one.kill()
    process.join()


def test_a_worker_whose_job_was_taken_over_stops_and_goes_on_with_others(run: Run) -> None:
    """It was away for so long that its trial was given up and its lock was free."""
    first, second, _ = plan()
    queue = JobQueue(run.home, NAME)
    queue.fill({key: plan()[key] for key in (first, second)})
    seen: list[str] = []

    def train(job: Job, tell: Callable[[Progress], None], until: int) -> Result:
        seen.append(job.key)
        if job.key == first:
            (number,) = [t.number for t in queue.attempts() if t.user_attrs["key"] == first]
            queue.study.tell(number, state=TrialState.FAIL)
            (job_folder(run.home, first) / "owner").write_text("another 1 0.00 7")
            tell(Progress(1, 2, 0.5, 100.0, 1.0, {}, {}))
            pytest.fail("it goes on")
        return trivial(job, Machine(), run.home, None, tell, until)

    queue.work(train)
    assert seen == [first, second]
    assert (job_folder(run.home, first) / "owner").read_text() == "another 1 0.00 7", "which is not its own to remove"
    assert queue.entries([second])[second].state is JobState.COMPLETE


def test_a_worker_with_another_folder_of_runs_is_refused(run: Run) -> None:
    JobQueue(run.home, NAME)
    other = run.home / "other"
    other.mkdir()
    settings = WorkerSettings(other, NAME, Machine(), None, trivial)
    said = rf"the jobs of {NAME} in postgresql://workbench@.* belong to the folder {socket.gethostname()}:{run.home}; "
    with pytest.raises(Refused, match=said + f"WORKBENCH_HOME {other} is another one"):
        settings.open_queue()
    JobQueue(run.home, NAME)


def test_a_result_that_does_not_show_yet_is_waited_for(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Network file systems show a file up to a minute after it was written elsewhere."""
    key = next(iter(plan()))
    jobs = {key: plan()[key]}
    queue, worker = JobQueue(run.home, NAME), JobQueue(run.home, NAME)
    queue.fill(jobs)
    queue.entries(jobs)
    worker.work(WorkerSettings(run.home, NAME, Machine(), None, trivial).train_job)
    hidden = job_folder(run.home, key) / "result.json"
    hidden.rename(hidden.with_name("hidden"))
    assert queue.fill(jobs)[key].state is JobState.RUNNING
    monkeypatch.setattr(job_queue, "DELAY", 0.0)
    assert queue.fill(jobs)[key].queued, "it is gone"
    assert JobQueue(run.home, NAME).entries(jobs)[key].queued


def test_a_trial_whose_worker_never_said_who_it_is_is_given_up(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the clocks of other machines say."""
    key = next(iter(plan()))
    queue = JobQueue(run.home, NAME)
    queue.fill({key: plan()[key]})
    waiting = queue.attempts()[0]
    store_of(run.home).open().set_trial_state_values(waiting.trial_id, TrialState.RUNNING)
    assert queue.revive().owners == [""]
    monkeypatch.setattr(job_queue, "GRACE", 0.0)
    assert queue.revive() == (1, [])


# With a database and an object store: each machine has a folder of runs of its own


def silent_after_two(
    job: Job, machine: Machine, home: Path, data: Path | None, tell: Callable[[Progress], None], until: int
) -> Result | Paused:
    """Trains; two epochs are complete when nothing more is heard."""

    def told(progress: Progress) -> None:
        tell(progress)
        if last_epoch(job_folder(home, job.key)) == 2:
            (home / "silent").touch()
            while True:
                time.sleep(1)
        time.sleep(1.01)  # so that each step tells

    return train_job(job, machine, home, data, told, until)


@pytest.mark.soak
@pytest.mark.timeout(400)
def test_a_dead_machine_leaves_its_job_to_one_that_shares_no_folder_with_it(
    run: Run, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Planned on one, begun on a second that vanishes, ended on a third as if on one alone, and shown on the first."""
    monkeypatch.setenv(FILES_VARIABLE, bucket)
    monkeypatch.setattr(stores, "HEARTBEAT", 5)  # a busy machine is not a silent one
    planner, far, near, alone = (run.home / name for name in ("planner", "far", "near", "alone"))
    for home in (planner, far, near, alone):
        home.mkdir()
    one = PlannedJob("row", 0, "", small_job(epochs=4))
    key, jobs = one.job.key, {one.job.key: one}
    queue = JobQueue(planner, NAME)
    queue.fill(jobs)
    first = machine("far", Run(far, NAME), 1, train=silent_after_two)
    wait_until(lambda: (far / "silent").exists())
    assert queue.fill(jobs)[key].state is not JobState.COMPLETE and not (planner / "jobs").exists()
    kill_all(first)
    second = machine("near", Run(near, NAME), 1, train=train_job)
    wait_until(lambda: queue.fill(jobs)[key].state is JobState.COMPLETE)
    second.terminate()
    second.join(60)
    (begun,) = [t.user_attrs.get("begun") for t in queue.attempts() if t.state is TrialState.COMPLETE]
    assert begun == 2, "it went on from what the dead one had left"
    monkeypatch.delenv(FILES_VARIABLE)
    train_job(one.job, Machine(), alone)
    whole, shown = (read_result(job_folder(home, key)) for home in (alone, planner))
    assert same_numbers(shown.metrics) == same_numbers(whole.metrics)
    assert [same_numbers(line) for line in shown.curve] == [same_numbers(line) for line in whole.curve]
    for name in ("weights.safetensors", "losses.csv", "predictions.png"):
        assert (shown.folder / name).read_bytes() == (whole.folder / name).read_bytes(), name
    assert {path.name for path in shown.folder.iterdir()} == {path.name for path in whole.folder.iterdir()}


@pytest.mark.soak
@pytest.mark.timeout(600)
def test_a_storm_over_machines_that_share_no_folder(run: Run, bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(FILES_VARIABLE, bucket)
    monkeypatch.setattr(joined, "LOOK", 1.0)
    monkeypatch.setattr(queue_entry, "LIMIT", 100)
    storm, jobs = Storm(run, workers=2, every=0.5, most=10, apart=True), dict(list(plan(10).items())[:30])
    once_each(weather(storm, jobs), jobs)
    homes = [{path.name for path in (run.home / host).glob("jobs/*")} for host in ("one", "two")]
    assert storm.kills >= 3 and all(homes) and set.union(*homes) == set(jobs), "both had a part of it"


def wait_until(holds: Callable[[], bool], seconds: float = 180) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.2)


def same_numbers(metrics: Mapping[str, float]) -> dict[str, str]:
    """Without what the clock decides."""
    return {k: repr(v) for k, v in metrics.items() if not k.startswith(("latency", "train_images"))}


def test_machines_with_other_files_are_refused(
    run: Run, bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Folders of runs may differ where files are common; files may not."""
    monkeypatch.setenv(FILES_VARIABLE, bucket)
    JobQueue(run.home, NAME)
    (run.home / "other").mkdir()
    JobQueue(run.home / "other", NAME)
    monkeypatch.setenv(FILES_VARIABLE, f"{bucket}/other")
    with pytest.raises(Refused, match=f"belong to the folder {bucket}; --files {bucket}/other is another one: set"):
        JobQueue(run.home, NAME)
    monkeypatch.delenv(FILES_VARIABLE)
    with pytest.raises(Refused, match=f"WORKBENCH_HOME {run.home} is another one: .* or --files to their object store"):
        JobQueue(run.home, NAME)
