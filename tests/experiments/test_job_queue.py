"""The job queue: what it holds, who takes a job from it, and what it refuses. Jobs are fakes."""

import errno
import multiprocessing
import os
import warnings
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import optuna
import pytest

from tests.experiments.fakes import FAKED, SETTING, STUDY, finish, queue
from workbench.core.errors import DataFault
from workbench.experiments.job_queue import JobQueue, stored_entries
from workbench.experiments.plan import StudyRun
from workbench.experiments.queue_entry import JobState, gives_up
from workbench.experiments.stores import FileStore
from workbench.models.job import Job
from workbench.training.record import Progress, Result, write_result

pytestmark = FAKED


QUEUED = 40


def take(home: Path, number: int) -> None:
    """Takes trials until none waits, and writes down which."""
    study = queue(home).study
    taken = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of heartbeats, which only `optimize` sends
        while (trial := study.ask()).number < QUEUED:  # what `optimize` does; with none waiting it makes a new one
            taken.append(str(trial.number))
    (home / f"taken{number}").write_text(" ".join(taken))


@pytest.mark.slow
def test_a_job_is_taken_by_one_worker_only(tmp_path: Path) -> None:
    study = queue(tmp_path).study
    for i in range(QUEUED):
        study.enqueue_trial({}, user_attrs={"key": str(i)})
    del study
    workers = [multiprocessing.get_context("fork").Process(target=take, args=(tmp_path, i)) for i in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    taken = Counter(" ".join(path.read_text() for path in tmp_path.glob("taken*")).split())
    assert len(taken) == QUEUED and set(taken.values()) == {1}


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_to_look_at_a_queue_makes_none(tmp_path: Path) -> None:
    planned = STUDY.planned_jobs(SETTING)
    home, keys = tmp_path / "home", [one.job.key for one in planned]
    (home / "jobs" / keys[0]).mkdir(parents=True)
    write_result(home / "jobs" / keys[0], keys[0], {}, {})
    before = contents(home)
    entries = stored_entries(home, "some/plan", keys)
    assert [entry.state for entry in entries.values()] == [JobState.COMPLETE, *[JobState.PLANNED] * (len(keys) - 1)]
    assert contents(home) == before and not stored_entries(tmp_path / "nowhere", "some/plan", [])
    assert not (tmp_path / "nowhere").exists()


def test_to_look_beside_a_queue_adds_no_plan_to_it(tmp_path: Path) -> None:
    planned = {one.job.key: one for one in STUDY.planned_jobs(SETTING)}
    JobQueue(tmp_path, "one/plan").fill(planned)
    stored_entries(tmp_path, "another/plan", planned)
    names = optuna.get_all_study_names(f"sqlite:///{tmp_path / 'optuna.db'}")
    assert names == ["one/plan"]
    assert all(entry.queued for entry in stored_entries(tmp_path, "one/plan", planned).values())


@pytest.mark.slow
def test_a_worker_needs_neither_study_nor_plan(tmp_path: Path) -> None:
    """The queue holds the jobs themselves: whoever knows its address does what was planned."""
    planned = {one.job.key: one for one in StudyRun(STUDY, SETTING, tmp_path).jobs()}
    JobQueue(tmp_path, "some/plan").fill(planned)
    seen: list[Job] = []

    def train(job: Job, tell: Callable[[Progress], None], until: int) -> Result:
        seen.append(job)
        return finish(job, tmp_path, tell)

    JobQueue(tmp_path, "some/plan").work(train)
    assert {job.key: job for job in seen} == {key: one.job for key, one in planned.items()}
    assert len(seen) == len(planned)


def test_a_queued_job_of_another_version_is_refused_not_trained_under_a_wrong_key(tmp_path: Path) -> None:
    one = STUDY.planned_jobs(SETTING)[0]
    there = queue(tmp_path)
    words = [one.job.to_dict() | {"seed": 7}, one.job.to_dict() | {"gone": 1}]
    for number, changed in enumerate(words):
        there.study.enqueue_trial({}, user_attrs={"key": f"key{number}", "job": changed})
    there.work(lambda *_: pytest.fail("trained"))
    entries = queue(tmp_path).entries(["key0", "key1"])
    assert [entry.state for entry in entries.values()] == [JobState.INFEASIBLE] * 2
    assert "queued by another version" in entries["key0"].note and "no field" in entries["key1"].note


def test_what_files_are_at_fault_for_is_tried_again_by_the_next_command(tmp_path: Path) -> None:
    def unreadable(*_: object) -> Result:
        raise DataFault("images cannot be used; correct it first:\n  broken images: 2, first 1.jpg, 2.jpg")

    one = STUDY.planned_jobs(SETTING)[0]
    for attempt in range(4):
        there = queue(tmp_path)
        before = there.entries([one.job.key])[one.job.key]
        assert not gives_up(before) and before.failures == 0 and before.ended == attempt
        there.study.enqueue_trial({}, user_attrs={"key": one.job.key, "job": one.job.to_dict()})
        there.work(unreadable)
        entry = there.entries([one.job.key])[one.job.key]
        assert gives_up(entry), "not a second time by the same one"
        assert entry.note.endswith("correct it first: broken images: 2, first 1.jpg, 2.jpg")


def test_a_full_disk_is_not_tried_again_by_the_same_command_and_says_nothing_of_the_job(tmp_path: Path) -> None:
    def full(*_: object) -> Result:
        raise OSError(errno.ENOSPC, "No space left on device", "/home/jobs/k/checkpoint.pt")

    one = STUDY.planned_jobs(SETTING)[0]
    plan = {one.job.key: one}
    for _ in range(4):
        there = queue(tmp_path)
        assert there.fill(plan)[one.job.key].queued
        there.work(full)
        entry = there.fill(plan)[one.job.key]
        assert gives_up(entry) and not entry.queued and entry.failures == 0
        assert entry.note.startswith("/home/jobs/k/checkpoint.pt: No space left on device; make room there")


def test_a_file_in_place_of_the_folder_of_a_job_is_named(tmp_path: Path) -> None:
    one = STUDY.planned_jobs(SETTING)[0]
    (tmp_path / "jobs").mkdir()
    (tmp_path / "jobs" / one.job.key).touch()
    there = queue(tmp_path)
    there.fill({one.job.key: one})
    there.work(lambda *_: pytest.fail("trained"))
    entry = there.fill({one.job.key: one})[one.job.key]
    assert gives_up(entry) and entry.note.startswith(f"{tmp_path / 'jobs' / one.job.key}: File exists; ")


def test_a_folder_that_can_not_be_written_can_be_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    planned = {one.job.key: one for one in STUDY.planned_jobs(SETTING)}
    first = next(iter(planned))
    JobQueue(tmp_path, "some/plan").fill(planned)
    (tmp_path / "jobs" / first).mkdir(parents=True)
    write_result(tmp_path / "jobs" / first, first, {}, {})
    monkeypatch.setattr(os, "access", lambda *_: False)
    monkeypatch.setattr(FileStore, "open", lambda *_: pytest.fail("SQLite writes even to read"))
    entries = stored_entries(tmp_path, "some/plan", planned)
    assert [entry.state for entry in entries.values()] == [JobState.COMPLETE, *[JobState.PLANNED] * (len(planned) - 1)]


def test_after_a_retry_each_failure_counts_again(tmp_path: Path) -> None:
    def broken(*_: object) -> Result:
        raise RuntimeError("not finite")

    one = STUDY.planned_jobs(SETTING)[0]
    there, plan = queue(tmp_path), {one.job.key: one}

    def failures(times: int) -> int:
        for _ in range(times):
            there.fill(plan)
            there.work(broken)
        return there.entries(plan)[one.job.key].failures

    assert failures(1) == 1
    assert there.reset_failures(plan) == 1 and failures(0) == 0
    assert failures(5) == 3 and len(there.attempts()) == 1 + 3, "the first of the next three, too"
