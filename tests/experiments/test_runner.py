"""Studies from the command to the verdicts: nothing lost, nothing twice, whatever dies. Jobs are fakes."""

import multiprocessing
import os
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import redirect_stdout
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import optuna
import psutil
import pytest

import studies
from tests.experiments.fakes import (
    FAKED,
    SETTING,
    STUDY,
    NoRecord,
    deadly,
    faulty,
    finish,
    keys,
    log,
    once_each,
    queue,
    quick,
    slow,
    start,
    trials,
)
from workbench.core.errors import Refused
from workbench.experiments import claims, commands, runner
from workbench.experiments.job_queue import GRACE, JobQueue
from workbench.experiments.object_store import FILES_VARIABLE
from workbench.experiments.plan import StudyRun, UntilDecided
from workbench.experiments.queue_entry import JobState
from workbench.experiments.runner import run_study
from workbench.models.job import Job
from workbench.models.zoo import nano
from workbench.study import Better, PlannedJob, Row, Study, find_study
from workbench.training.machine import Machine
from workbench.training.record import Progress, Result, job_folder, read_result, write_result

pytestmark = FAKED


@pytest.mark.soak
@pytest.mark.timeout(300)
def test_all_is_done_once_and_the_second_time_nothing(
    server: None, go: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert go(quick) == 0
    once_each(tmp_path)
    before = log(tmp_path)
    out = capsys.readouterr().out
    assert "6 of 6 complete" in out
    assert "F1 holds" in out
    assert go(quick) == 0
    assert log(tmp_path) == before
    assert go(quick, seeds=3) == 0  # more seeds: only the new ones
    assert sum(log(tmp_path).values()) == sum(before.values()) + 2 * len(STUDY.rows)


@pytest.mark.slow
def test_a_repeat_trains_other_seeds_and_leaves_the_study_alone(
    go: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Seeds 3 and 4: of the study, seeds 0 and 1, nothing is complete yet. A seed that both have is trained once."""
    assert go(quick, first_seed=3) == 0 and "6 of 6 complete" in capsys.readouterr().out
    repeat = [one.job for one in STUDY.planned_jobs(SETTING, first_seed=3)]
    assert {job.seed for job in repeat} == {3, 4} and log(tmp_path) == Counter(
        f"{word} {job.key}" for job in repeat for word in ("begin", "end")
    )
    assert runner.status(StudyRun(STUDY, SETTING, tmp_path)) == 1 and "0 of 6 complete" in capsys.readouterr().out
    assert go(quick, seeds=4) == 0
    once = {key: log(tmp_path)[f"end {key}"] for key in (job.key for job in repeat)}
    assert set(once.values()) == {1} and sum(log(tmp_path).values()) == 2 * 3 * 5


@pytest.mark.slow
def test_failures_are_tried_three_times_refusals_once_and_both_again_after_retry(
    go: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert go(faulty, seeds=1) == 1
    out = capsys.readouterr().out
    assert "1 of 3 complete" in out
    assert "RuntimeError: the gradient is not finite" in out and "second line" not in out
    base, padding, static = (one.job.key for one in STUDY.planned_jobs(SETTING, 1))
    entries = queue(tmp_path).entries({base, padding, static})
    assert [entries[key].state for key in (base, padding, static)] == [
        JobState.COMPLETE,
        JobState.INFEASIBLE,
        JobState.FAILED,
    ]
    assert log(tmp_path)[f"begin {static}"] == 3
    tried = [t for t in trials(tmp_path) if t.user_attrs.get("key") == padding]
    assert [(t.state.name, t.user_attrs.get("outcome")) for t in tried] == [("FAIL", "infeasible")]
    assert "second line" in (tmp_path / "jobs" / static / "error.txt").read_text()

    assert go(faulty, seeds=1) == 1  # failed too often: left alone
    assert log(tmp_path)[f"begin {static}"] == 3
    assert runner.retry(StudyRun(STUDY, SETTING, tmp_path, seeds=1)) == 2
    assert go(quick, seeds=1) == 0
    assert runner.status(StudyRun(STUDY, SETTING, tmp_path, seeds=1)) == 0
    assert not (tmp_path / "jobs" / static / "error.txt").exists()


@pytest.mark.slow
@pytest.mark.slow
def test_who_has_another_folder_finds_a_study_in_the_common_files(
    go: Callable[..., int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "common").mkdir()
    (tmp_path / "other").mkdir()
    monkeypatch.setenv(FILES_VARIABLE, f"file://{tmp_path}/common")
    assert go(quick) == 0
    assert f"--files file://{tmp_path}/common" in commands.following(StudyRun(STUDY, SETTING, tmp_path)).retry
    other = StudyRun(STUDY, SETTING, tmp_path / "other")
    assert [other.complete(key) for key in keys()] == [False] * 6
    assert runner.status(other) == 0 and "6 of 6 complete" in capsys.readouterr().out
    assert [other.complete(key) for key in keys()] == [True] * 6
    assert start(other, quick) == 0 and not log(tmp_path / "other"), "nothing is left to do"
    monkeypatch.setenv(FILES_VARIABLE, f"file://{tmp_path}/gone")
    with pytest.raises(Refused, match="there is no such folder"):
        go(quick)


def test_a_killed_worker_is_no_failure(go: Callable[..., int], tmp_path: Path) -> None:
    assert go(deadly) == 0
    once_each(tmp_path)
    killed = [t for t in trials(tmp_path) if t.state.name == "FAIL"]
    assert len(killed) == 2 and not any("outcome" in t.user_attrs for t in killed)


def test_a_batch_that_the_processes_of_a_job_can_not_share_is_refused_at_once(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="batch 256 can not be shared evenly by 3 processes"):
        run_study(StudyRun(STUDY, SETTING, tmp_path), machine=Machine(ranks=3), train=quick)
    assert not list(tmp_path.iterdir())
    for one in STUDY.planned_jobs(SETTING):
        job_folder(tmp_path, one.job.key).mkdir(parents=True)
        finish(one.job, tmp_path, lambda _: None)
    assert run_study(StudyRun(STUDY, SETTING, tmp_path), machine=Machine(ranks=3), train=quick) == 0, "nothing to share"


@pytest.mark.slow
def test_a_finished_folder_is_believed_and_a_missing_one_is_not(go: Callable[..., int], tmp_path: Path) -> None:
    folder = tmp_path / "jobs" / keys()[0]
    folder.mkdir(parents=True)
    finish(STUDY.planned_jobs(SETTING)[0].job, tmp_path, lambda _: None)
    assert go(quick) == 0
    once_each(tmp_path)
    (folder / "result.json").unlink()
    assert go(quick) == 0
    assert log(tmp_path)[f"end {keys()[0]}"] == 2


def test_rows_that_share_a_job_share_its_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    twin = Study(name="twin", question="", source="", base=nano(), rows=(Row("a"), Row("b")))
    recorded: list[str] = []
    monkeypatch.setattr(NoRecord, "record", lambda self, one, *_: recorded.append(f"{one.row}{one.seed}"))
    assert start(StudyRun(twin, SETTING, tmp_path), quick) == 0
    assert set(log(tmp_path).values()) == {1} and len(log(tmp_path)) == 4
    assert sorted(recorded) == ["a0", "a1", "b0", "b1"]


UNTIL = replace(STUDY, claims=(*STUDY.claims, Better("F2", "more padding is better", "padding", "base", metric="AR")))


def noisy(
    job: Job, machine: Machine, home: Path, data: Path | None, tell: Callable[[Progress], None], until: int
) -> Result:
    """AR of two rows that differ by more with even seeds than with odd ones: it takes five of them to tell."""
    done = finish(job, home, tell)
    better = bool(job.variant.coords.padding > 1.25)  # pyright: ignore[reportAttributeAccessIssue]
    values = {**done.metrics, "AR": 0.5 + 0.02 * better + 0.009 * better * (-1) ** job.seed}
    write_result(done.folder, job.key, values, {})
    return read_result(done.folder)


def seeds_of(home: Path, study: Study = UNTIL) -> Counter[str]:
    """How many seeds of each row are complete."""
    run = StudyRun(study, SETTING, home)
    return Counter(one.row for one in run.jobs(20) if run.result(one))


@pytest.mark.slow
def test_until_decided_trains_only_what_is_open(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plain = StudyRun(UNTIL, SETTING, tmp_path, seeds=3)
    until = replace(plain, until=UntilDecided(40))
    assert runner.status(until) == 1
    assert "looks taken 0, jobs 9 of at most 40; 9 of 9 runs are missing" in capsys.readouterr().out
    assert start(plain, noisy) == 0  # the first round, as any study
    assert seeds_of(tmp_path) == {"base": 3, "padding": 3, "static": 3}
    capsys.readouterr()
    assert runner.status(until) == 1
    out = capsys.readouterr().out
    assert "looks taken 1, jobs 13 of at most 40; 4 of 13 runs are missing" in out and "9 of 13 complete" in out
    assert start(until, noisy) == 0
    out = capsys.readouterr().out
    assert seeds_of(tmp_path)["static"] == 3 and seeds_of(tmp_path)["base"] == seeds_of(tmp_path)["padding"] == 5
    assert set(log(tmp_path).values()) == {1}  # nothing twice
    assert "every claim is decided" in out and "F2 holds" in out and "static one: look 1: difference" in out
    before = log(tmp_path)
    assert start(until, noisy) == 0 and log(tmp_path) == before
    assert runner.status(until) == 0
    assert runner.retry(until) == 0
    capsys.readouterr()
    assert start(replace(until, until=UntilDecided(60)), noisy) == 0 and log(tmp_path) == before
    assert "goes on with the terms of its first command, 3 seeds in the first round and at most 40 jobs" in (
        " ".join(capsys.readouterr().out.split())
    )


def near(
    job: Job, machine: Machine, home: Path, data: Path | None, tell: Callable[[Progress], None], until: int
) -> Result:
    """As `noisy`, of less spread: three seeds decide it in one look, not in the first of three."""
    done = finish(job, home, tell)
    better = bool(job.variant.coords.padding > 1.25)  # pyright: ignore[reportAttributeAccessIssue]
    values = {**done.metrics, "AR": 0.5 + 0.02 * better + 0.009 * better * (-1) ** job.seed}
    write_result(done.folder, job.key, values, {})
    return read_result(done.folder)


@pytest.mark.slow
def test_terminal_and_record_agree_after_until_decided(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The record finds the third seed, too, and must not judge it as if nobody had looked at the first two."""
    from workbench.report import record  # pandas takes a second, which every worker that reads this file would pay

    run = StudyRun(UNTIL, SETTING, tmp_path)
    assert start(replace(run, until=UntilDecided(10)), near) == 0
    said = capsys.readouterr().out
    results = record.results_of(run)
    judged = record.judged_as_run(run, results)
    lines = record.claims_frame(UNTIL.claims, judged).to_dict("records")
    assert [line["verdict"] for line in lines] == ["holds", "open"]
    assert [one.verdict for one in claims.judge_study(UNTIL, SETTING, results)] == [
        "holds",
        "holds",
    ]  # in one look
    for line in lines:
        assert f"{line['claim']} {line['verdict']}: {line['text']}: {line['reason']}" in " ".join(said.split())
    assert "another round is above the budget of 10 jobs" in said
    assert start(replace(run, seeds=3), near) == 0  # and so it stays
    assert "F2 open" in capsys.readouterr().out


@pytest.mark.slow
def test_until_decided_goes_on_where_it_was_interrupted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the second round, whose jobs follow from the first one's results."""
    run = StudyRun(UNTIL, SETTING, tmp_path, seeds=3)
    start(run, noisy)
    fill, fills = JobQueue.fill, iter(range(100))

    def interrupted(self: JobQueue, plan: Any) -> Any:
        filled = fill(self, plan)
        if next(fills) == 0:  # with the jobs in the queue, and before a worker has taken one
            raise KeyboardInterrupt
        return filled

    monkeypatch.setattr(JobQueue, "fill", interrupted)
    until = replace(run, until=UntilDecided(40))
    assert start(until, noisy, jobs=1) == 130
    assert sum(seeds_of(tmp_path).values()) == 9
    assert start(until, noisy, jobs=1) == 0
    ended = [line for line in log(tmp_path).elements() if line.startswith("end")]
    assert len(ended) == len(set(ended)) == sum(seeds_of(tmp_path).values()) == 13


@pytest.mark.slow
def test_a_failed_row_stops_the_looks(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert start(StudyRun(UNTIL, SETTING, tmp_path, until=UntilDecided(40)), faulty) == 1
    out = capsys.readouterr().out
    assert "looks taken 0" in out and "6 of 9 runs are missing" in out and "retry fake --protocol test" in out


@pytest.mark.slow
def test_a_replay_shows_what_would_have_been_saved(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = StudyRun(UNTIL, SETTING, tmp_path, seeds=6)
    start(run, noisy)
    capsys.readouterr()
    assert runner.replay(run) == 0
    out = capsys.readouterr().out
    assert " of 18 jobs, " in out and "verdicts the same, 0 the opposite" in out
    assert "until decided: 13 of 18 jobs, 5 saved (28 %)" in out
    with pytest.raises(Refused, match="only a finished study can be replayed"):
        runner.replay(replace(run, seeds=7))


def command(home: Path) -> Any:
    """The study as a process group of its own, as a shell would start it. A fork has the imports done."""
    process = multiprocessing.get_context("fork").Process(target=_command, args=(home,))
    process.start()
    return process


def _command(home: Path) -> None:
    os.setsid()
    with (home / "said").open("w") as said, redirect_stdout(said):
        sys.exit(start(StudyRun(STUDY, SETTING, home), slow))


def until(begun: int, home: Path, process: Any, seconds: float = 240) -> None:
    """Waits until so many jobs have begun. A busy machine takes its time."""
    end = time.monotonic() + seconds
    while sum(line.startswith("begin") for line in log(home)) < begun:
        if time.monotonic() > end or not process.is_alive():
            process.kill()
            process.join()
            pytest.fail("the command ended or hangs")
        time.sleep(0.05)


@pytest.mark.soak
@pytest.mark.timeout(300)
def test_sigkill_in_the_middle_loses_and_doubles_nothing(go: Callable[..., int], tmp_path: Path) -> None:
    process = command(tmp_path)
    until(4, tmp_path, process)
    os.killpg(process.pid, signal.SIGKILL)
    process.join()
    ended = sum(line.startswith("end") for line in log(tmp_path))
    assert 2 <= ended < 6
    assert runner.status(StudyRun(STUDY, SETTING, tmp_path)) == 1
    for folder in (tmp_path / "jobs").iterdir():
        if not (folder / "result.json").exists():  # as if it had been killed while it saved
            (folder / f"checkpoint.pt.{process.pid}.0a1b2c3d.part").write_bytes(b"half a training state")
    assert go(quick) == 0
    once_each(tmp_path)
    assert not list(tmp_path.glob("jobs/*/*.part"))
    killed = [t for t in trials(tmp_path) if t.state.name == "FAIL"]
    assert killed and not any("outcome" in t.user_attrs for t in killed)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_interrupt_stops_the_workers_and_says_how_to_go_on(go: Callable[..., int], tmp_path: Path) -> None:
    process = command(tmp_path)
    until(2, tmp_path, process)
    process.terminate()
    process.join(120)
    assert process.exitcode == 130
    assert "the same command goes on from there" in (tmp_path / "said").read_text()
    end, there = time.monotonic() + 2 * GRACE, queue(tmp_path)  # one that never said who it is counts for so long
    while JobState.RUNNING in (states := {one.state for one in there.entries(set(keys())).values()}):
        assert time.monotonic() < end
        time.sleep(0.2)
    assert JobState.KILLED in states
    assert go(quick) == 0
    once_each(tmp_path)


@pytest.mark.soak
@pytest.mark.timeout(300)
def test_two_commands_at_once_share_the_work(server: None, go: Callable[..., int], tmp_path: Path) -> None:
    codes: list[int] = []
    threads = [threading.Thread(target=lambda: codes.append(go(slow))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert codes == [0, 0]
    once_each(tmp_path)
    assert all(count == 1 for count in log(tmp_path).values())


def test_other_machines_do_the_jobs_only_where_they_can_find_them(tmp_path: Path) -> None:
    with pytest.raises(Refused, match=r"--jobs 0: .* a store that they share; add --store URL"):
        start(StudyRun(STUDY, SETTING, tmp_path), quick, jobs=0)
    assert not list(tmp_path.iterdir())


def test_a_protocol_that_wants_a_data_set_is_refused_without_one(tmp_path: Path) -> None:
    asked = replace(SETTING, protocol=replace(SETTING.protocol, data=""))
    with pytest.raises(Refused, match="add --data"):
        start(StudyRun(STUDY, asked, tmp_path), quick)
    assert not (tmp_path / "jobs").exists()


def vanishing(
    job: Job, machine: Machine, home: Path, data: Path | None, tell: Callable[[Progress], None], until: int
) -> Result:
    """The first job takes the study's file away."""
    (home / "vanishing.py").unlink(missing_ok=True)
    return finish(job, home, tell)


@pytest.mark.soak
@pytest.mark.timeout(300)
def test_a_study_file_that_vanishes_while_its_jobs_run_changes_nothing(
    server: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has a change that no other process could make again: a function of its own."""
    (tmp_path / "vanishing.py").write_text(
        "from workbench.study import Row, Study\n"
        "from workbench.presets import nano\n"
        "more = lambda base: {'coords.padding': base.coords.padding + 0.5}\n"
        "STUDY = Study('vanishing', '', '', nano(), (Row('base'), Row('more', more)))\n"
    )
    monkeypatch.setattr(studies, "__path__", [*studies.__path__, str(tmp_path)])
    study = find_study("vanishing")
    assert isinstance(study, Study)
    assert start(StudyRun(study, SETTING, tmp_path), vanishing) == 0
    assert not (tmp_path / "vanishing.py").exists()
    assert log(tmp_path) == Counter(f"{word} {key}" for word in ("begin", "end") for key in keys(study))


@pytest.mark.slow
def test_trials_of_earlier_versions_are_passed_over_and_their_results_count(
    go: Callable[..., int], tmp_path: Path
) -> None:
    """They hold the address of a job, not the job: complete ones, failed ones and ones that wait."""
    planned = STUDY.planned_jobs(SETTING)
    complete, failed, *waiting = planned
    there = queue(tmp_path)

    def address(one: PlannedJob) -> dict[str, Any]:
        return {"key": one.job.key, "row": one.row, "seed": one.seed, "trunk": one.trunk}

    done = optuna.trial.TrialState.COMPLETE
    attributes = address(complete) | {"outcome": "complete"}
    there.study.add_trial(optuna.trial.create_trial(state=done, value=0.2, user_attrs=attributes))
    folder = tmp_path / "jobs" / complete.job.key
    folder.mkdir(parents=True)
    finish(complete.job, tmp_path, lambda _: None)
    attributes = address(failed) | {"outcome": "failed", "note": "once"}
    there.study.add_trial(optuna.trial.create_trial(state=optuna.trial.TrialState.FAIL, user_attrs=attributes))
    for one in waiting:
        there.study.enqueue_trial({}, user_attrs=address(one))
    assert runner.status(StudyRun(STUDY, SETTING, tmp_path)) == 1
    assert go(quick) == 0
    once_each(tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("content", ["", "[]", '{"key": "x"}', '{"key": "KEY", "metrics": {"AP": "high"}, "tags": {}}'])
def test_a_damaged_result_is_said_and_its_job_done_again(
    content: str, go: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    key = keys()[0]
    path = tmp_path / "jobs" / key / "result.json"
    assert go(quick, seeds=1) == 0
    path.write_text(content.replace("KEY", key))
    capsys.readouterr()
    assert runner.status(StudyRun(STUDY, SETTING, tmp_path, seeds=1)) == 1
    out = " ".join(capsys.readouterr().out.split())
    assert f"broken: {path}: it is damaged (" in out and "2 of 3 complete" in out
    assert go(quick, seeds=1) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert f"{path}: it is damaged (" in out and "it was put aside as *.damaged" in out and "3 of 3 complete" in out
    assert {key: log(tmp_path)[f"end {key}"] for key in keys()[:3]} == {
        key: 1 + (key == keys()[0]) for key in keys()[:3]
    }
    assert path.with_name("result.json.damaged").read_text() == content.replace("KEY", key)


@pytest.mark.slow
def test_rows_that_all_fail_alike_stop_the_study_early(
    go: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert start(StudyRun(STUDY, SETTING, tmp_path, seeds=3), hopeless, jobs=1) == 1
    out = " ".join(capsys.readouterr().out.split())
    assert (
        "stopped, as every row fails alike: RuntimeError: no kernel image for job" in out and "0 of 9 complete" in out
    )
    assert 3 <= sum(log(tmp_path).values()) <= 5, "each row once, of nine jobs that would be tried three times"
    assert go(quick, seeds=3) == 0, "the same command goes on"


def hopeless(
    job: Job, machine: Machine, home: Path, data: Path | None, tell: Callable[[Progress], None], until: int
) -> Result:
    with (home / "log").open("a") as file:
        file.write(f"begin {job.key}\n")
    time.sleep(1)  # in which the command looks
    raise RuntimeError(f"no kernel image for job {job.key}")


@pytest.mark.slow
def test_what_failed_is_recorded_with_its_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recorded: list[tuple[str, str]] = []
    monkeypatch.setattr(NoRecord, "record_failure", lambda self, one, why: recorded.append((one.row, why)))
    assert start(StudyRun(STUDY, SETTING, tmp_path, seeds=1), faulty) == 1
    assert recorded == [
        ("padding", "Refused: the data set does not fit"),
        ("static", "RuntimeError: the gradient is not finite"),
    ]


def test_a_home_that_can_not_hold_a_study_is_refused_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = StudyRun(STUDY, SETTING, tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr("workbench.core.files.os.access", lambda *_: False)
        with pytest.raises(Refused, match=r"can not be written .*read-only"):
            start(run, quick)
    with monkeypatch.context() as patch:
        disk = SimpleNamespace(free=3_000_000, total=9_000_000)
        patch.setattr("workbench.core.files.shutil.disk_usage", lambda _: disk)
        with pytest.raises(Refused, match=f"disk full: {tmp_path} has 3 MB left; make room for at least 50 MB"):
            start(run, quick)
    (tmp_path / "jobs").touch()
    with pytest.raises(Refused, match="jobs is no folder; move it away"):
        start(run, quick)
    assert [one.name for one in tmp_path.iterdir()] == ["jobs"]


@pytest.mark.soak
@pytest.mark.timeout(300)
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_ends_within_ten_seconds_though_a_worker_hears_nothing(
    number: signal.Signals, go: Callable[..., int], tmp_path: Path
) -> None:
    """One that is stopped answers no request; its job is released all the same."""
    process = command(tmp_path)
    until(2, tmp_path, process)
    worker = psutil.Process(process.pid).children()[0]
    worker.suspend()
    began = time.monotonic()
    os.kill(process.pid, number)
    process.join(120)
    assert process.exitcode == 130 and time.monotonic() - began < 10
    assert "the same command goes on from there" in (tmp_path / "said").read_text()
    assert not worker.is_running() or worker.status() == psutil.STATUS_ZOMBIE
    assert go(quick) == 0
    once_each(tmp_path)


@pytest.mark.soak
@pytest.mark.timeout(300)
def test_a_second_interrupt_ends_at_once(go: Callable[..., int], tmp_path: Path) -> None:
    process = command(tmp_path)
    until(2, tmp_path, process)
    worker = psutil.Process(process.pid).children()[0]
    worker.suspend()  # so that the first one takes its time
    os.kill(process.pid, signal.SIGINT)
    time.sleep(0.5)
    began = time.monotonic()
    os.kill(process.pid, signal.SIGINT)
    while process.exitcode is None:  # to join it would wait for the worker as well
        assert time.monotonic() - began < 3
        time.sleep(0.02)
    assert process.exitcode == 130
    worker.kill()
    assert go(quick) == 0
    once_each(tmp_path)


@pytest.mark.slow
def test_a_renamed_row_and_a_moved_home_keep_their_results(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Keys are of what is trained, and nothing in a folder of runs says where it lies."""
    home, moved = tmp_path / "home", tmp_path / "moved"
    home.mkdir()
    assert start(StudyRun(STUDY, SETTING, home, seeds=1), quick) == 0
    home.rename(moved)
    before = log(moved)
    rows = (Row("the base"), *STUDY.rows[1:])
    renamed = replace(STUDY, rows=rows, claims=())
    assert runner.status(StudyRun(renamed, SETTING, moved, seeds=1)) == 0
    assert start(StudyRun(renamed, SETTING, moved, seeds=1), quick) == 0
    assert log(moved) == before and "3 of 3 complete" in capsys.readouterr().out
    assert not home.exists()
