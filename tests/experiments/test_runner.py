"""The plan and its ledger: nothing lost, nothing twice, whatever dies. Jobs are fakes that write a result."""

import json
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import redirect_stdout
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import optuna
import pytest

from workbench.core import processes
from workbench.core.errors import Refused
from workbench.experiments import claims, console, job_queue, runner, sequential, tracking, worker_pool
from workbench.experiments.console import JobState
from workbench.experiments.job_queue import JobQueue
from workbench.experiments.plan import StudyRun, UntilDecided
from workbench.experiments.runner import run_study
from workbench.models.job import Job, Protocol
from workbench.models.zoo import nano
from workbench.study import Better, Row, Study, StudyProtocol
from workbench.training.machine import Machine
from workbench.training.run import Progress, Result, read_result

# newer Pythons warn of forks beside threads; none of ours holds a lock then
pytestmark = [
    pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning"),
    pytest.mark.xdist_group("forkserver"),  # it is started once in a process, and takes its time
]
SLOW = 1.0  # seconds of a slow job

STUDY = Study(
    name="fake",
    question="Does the plan hold?",
    source="none",
    base=nano(),
    rows=(Row("base"), Row("padding", {"coords.padding": 1.5}), Row("static", {"coords.dynamic_allocation": False})),
    claims=(Better("F1", "the base beats the static one", row="base", than="static", metric="AP_M"),),
)
SETTING = StudyProtocol("test", "two seeds, nothing trained", Protocol(size=(96, 96), epochs=2), seeds=2)


def finish(job: Job, folder: Path, tell: Callable[[Progress], None], seconds: float = 0.0) -> Result:
    """A job that says that it began, waits, and says that it ended."""
    log = folder.parent.parent / "log"
    with log.open("a") as file:
        file.write(f"begin {job.key}\n")
    tell(Progress(1, 2, 0.5, 100.0, 1.0, {"loss_cls": 1.0}, {}))
    time.sleep(seconds)
    (folder / "curve.csv").write_text("epoch,AP\n1,0.1\n2,0.2\n")
    coords: Any = job.variant.coords
    metrics = {"AP": 0.2 + job.seed / 100, "AP_M": 0.3 + 0.1 * coords.dynamic_allocation, "gflops": 1.0}
    part = folder / "result.part"
    part.write_text(json.dumps({"key": job.key, "metrics": metrics, "tags": {"commit": "abc"}}))
    part.replace(folder / "result.json")
    with log.open("a") as file:
        file.write(f"end {job.key}\n")
    return read_result(folder)


def quick(job: Job, machine: Machine, folder: Path, data: Path | None, tell: Callable[[Progress], None]) -> Result:
    return finish(job, folder, tell)


def slow(job: Job, machine: Machine, folder: Path, data: Path | None, tell: Callable[[Progress], None]) -> Result:
    return finish(job, folder, tell, SLOW)


def faulty(job: Job, machine: Machine, folder: Path, data: Path | None, tell: Callable[[Progress], None]) -> Result:
    """The static row raises, the row with another padding is refused."""
    coords: Any = job.variant.coords
    if not coords.dynamic_allocation:
        finish_begin = folder.parent.parent / "log"
        with finish_begin.open("a") as file:
            file.write(f"begin {job.key}\n")
        raise RuntimeError("the gradient is not finite\nsecond line")
    if coords.padding != 1.25:
        raise Refused("the data set does not fit")
    return finish(job, folder, tell)


def deadly(job: Job, machine: Machine, folder: Path, data: Path | None, tell: Callable[[Progress], None]) -> Result:
    """The first attempt of the static row kills its own process."""
    coords: Any = job.variant.coords
    mark = folder.parent.parent / f"killed {job.key}"
    if not coords.dynamic_allocation and not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return finish(job, folder, tell)


def broken(order: StudyRun) -> None:
    """A worker that can not even begin."""
    raise SystemExit(1)


class Book:
    """Stands for MLflow, which takes seconds to open."""

    def __init__(self, *_: Any) -> None: ...

    def record(self, *_: Any) -> str:
        return ""


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> None:
    """Workers as they are made in use; its imports take seconds."""
    monkeypatch.setattr(processes, "START", "forkserver")


@pytest.fixture(autouse=True)
def _light(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "START", "fork")
    monkeypatch.setattr(tracking, "MlflowRecord", Book)
    monkeypatch.setattr(runner, "check_distinct", lambda cells: None)  # has its own tests


@pytest.fixture
def go(tmp_path: Path) -> Iterator[Callable[..., int]]:
    yield partial(run_study, STUDY, SETTING, home=tmp_path, machine=Machine(), jobs=2)


def log(home: Path) -> Counter[str]:
    path = home / "log"
    return Counter(path.read_text().split("\n")[:-1]) if path.exists() else Counter()


def keys(study: Study = STUDY) -> list[str]:
    return [cell.job.key for cell in study.cells(SETTING)]


def trials(home: Path) -> list[optuna.trial.FrozenTrial]:
    return JobQueue(StudyRun(STUDY, SETTING, home)).trials()


def once_each(home: Path) -> None:
    """Every job has one complete trial and came to its end once."""
    complete = [t.user_attrs["key"] for t in trials(home) if t.state.name == "COMPLETE"]
    assert sorted(complete) == sorted(keys())
    assert {key: log(home)[f"end {key}"] for key in keys()} == dict.fromkeys(keys(), 1)
    assert not [t for t in trials(home) if t.state.name in ("RUNNING", "WAITING")]


@pytest.mark.timeout(300)
def test_all_is_done_once_and_the_second_time_nothing(
    server: None, go: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert go(train=quick) == 0
    once_each(tmp_path)
    before = log(tmp_path)
    out = capsys.readouterr().out
    assert "6 of 6 complete" in out
    assert "F1 holds" in out
    assert go(train=quick) == 0
    assert log(tmp_path) == before
    assert go(train=quick, seeds=3) == 0  # more seeds: only the new ones
    assert sum(log(tmp_path).values()) == sum(before.values()) + 2 * len(STUDY.rows)


def test_failures_are_tried_three_times_refusals_once_and_both_again_after_retry(
    go: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert go(train=faulty, seeds=1) == 1
    out = capsys.readouterr().out
    assert "1 of 3 complete" in out
    assert "RuntimeError: the gradient is not finite" in out and "second line" not in out
    base, padding, static = (cell.job.key for cell in STUDY.cells(SETTING, 1))
    entries = JobQueue(StudyRun(STUDY, SETTING, tmp_path)).entries({base, padding, static})
    assert [entries[key].state for key in (base, padding, static)] == [
        JobState.COMPLETE,
        JobState.INFEASIBLE,
        JobState.FAILED,
    ]
    assert log(tmp_path)[f"begin {static}"] == 3
    assert Counter(t.user_attrs.get("key") for t in trials(tmp_path))[padding] == 1
    assert "second line" in (tmp_path / "jobs" / static / "error.txt").read_text()

    assert go(train=faulty, seeds=1) == 1  # failed too often: left alone
    assert log(tmp_path)[f"begin {static}"] == 3
    assert runner.retry(STUDY, SETTING, home=tmp_path, seeds=1) == 2
    assert go(train=quick, seeds=1) == 0
    assert runner.status(STUDY, SETTING, home=tmp_path, seeds=1) == 0
    assert not (tmp_path / "jobs" / static / "error.txt").exists()


def test_a_killed_worker_is_no_failure(go: Callable[..., int], tmp_path: Path) -> None:
    assert go(train=deadly) == 0
    once_each(tmp_path)
    killed = [t for t in trials(tmp_path) if t.state.name == "FAIL"]
    assert len(killed) == 2 and not any("outcome" in t.user_attrs for t in killed)


def test_workers_that_can_not_begin_end_the_command(go: Callable[..., int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker_pool, "_serve", broken)
    with pytest.raises(Refused, match="workers ended before they had done any work"):
        go(train=quick)
    assert not multiprocessing.active_children()


def test_a_finished_folder_is_believed_and_a_missing_one_is_not(go: Callable[..., int], tmp_path: Path) -> None:
    folder = tmp_path / "jobs" / keys()[0]
    folder.mkdir(parents=True)
    finish(STUDY.cells(SETTING)[0].job, folder, lambda _: None)
    assert go(train=quick) == 0
    once_each(tmp_path)
    (folder / "result.json").unlink()
    assert go(train=quick) == 0
    assert log(tmp_path)[f"end {keys()[0]}"] == 2


def test_rows_that_share_a_job_share_its_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    twin = Study(name="twin", question="", source="", base=nano(), rows=(Row("a"), Row("b")))
    recorded: list[str] = []
    monkeypatch.setattr(Book, "record", lambda self, cell, *_: recorded.append(f"{cell.row}{cell.seed}"))
    assert run_study(twin, SETTING, home=tmp_path, machine=Machine(), jobs=2, train=quick) == 0
    assert set(log(tmp_path).values()) == {1} and len(log(tmp_path)) == 4
    assert sorted(recorded) == ["a0", "a1", "b0", "b1"]


UNTIL = replace(STUDY, claims=(*STUDY.claims, Better("F2", "more padding is better", "padding", "base", metric="AR")))


def noisy(job: Job, machine: Machine, folder: Path, data: Path | None, tell: Callable[[Progress], None]) -> Result:
    """AR of two rows that differ by more with even seeds than with odd ones: it takes five of them to tell."""
    done = finish(job, folder, tell)
    better = bool(job.variant.coords.padding > 1.25)  # pyright: ignore[reportAttributeAccessIssue]
    values = {**done.metrics, "AR": 0.5 + 0.02 * better + 0.009 * better * (-1) ** job.seed}
    (folder / "result.json").write_text(json.dumps({"key": job.key, "metrics": values, "tags": {}}))
    return read_result(folder)


def seeds_of(home: Path, study: Study = UNTIL) -> Counter[str]:
    """How many seeds of each row are complete."""
    order = StudyRun(study, SETTING, home)
    return Counter(cell.row for cell in order.cells(20) if order.find(cell))


def test_until_decided_trains_only_what_is_open(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def go(**options: Any) -> int:
        return run_study(UNTIL, SETTING, home=tmp_path, machine=Machine(), jobs=2, train=noisy, **options)

    which: dict[str, Any] = {"home": tmp_path, "until": UntilDecided(40)}
    assert runner.status(UNTIL, SETTING, **which) == 1
    assert "looks taken 0, jobs 6 of at most 40; 6 of 6 runs are missing" in capsys.readouterr().out
    assert go() == 0  # the first round, as any study
    assert seeds_of(tmp_path) == {"base": 2, "padding": 2, "static": 2}
    capsys.readouterr()
    assert runner.status(UNTIL, SETTING, **which) == 1
    out = capsys.readouterr().out
    assert "looks taken 1, jobs 8 of at most 40; 2 of 8 runs are missing" in out and "6 of 8 complete" in out
    assert go(until=UntilDecided(40)) == 0
    out = capsys.readouterr().out
    assert seeds_of(tmp_path)["static"] == 2 and seeds_of(tmp_path)["base"] == seeds_of(tmp_path)["padding"] == 5
    assert set(log(tmp_path).values()) == {1}  # nothing twice
    assert "every claim is decided" in out and "F2 holds" in out and "static one: look 1: difference" in out
    before = log(tmp_path)
    assert go(until=UntilDecided(40)) == 0 and log(tmp_path) == before
    assert runner.status(UNTIL, SETTING, **which) == 0
    assert runner.retry(UNTIL, SETTING, **which) == 0


def near(job: Job, machine: Machine, folder: Path, data: Path | None, tell: Callable[[Progress], None]) -> Result:
    """As `noisy`, of less spread: three seeds decide it in one look, not in one of five."""
    done = finish(job, folder, tell)
    better = bool(job.variant.coords.padding > 1.25)  # pyright: ignore[reportAttributeAccessIssue]
    values = {**done.metrics, "AR": 0.5 + 0.02 * better + 0.004 * better * (-1) ** job.seed}
    (folder / "result.json").write_text(json.dumps({"key": job.key, "metrics": values, "tags": {}}))
    return read_result(folder)


def test_terminal_and_record_agree_after_until_decided(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The record finds the third seed, too, and must not judge it as if nobody had looked at the first two."""
    from workbench.report import record  # pandas takes a second, which every worker that reads this file would pay

    options: dict[str, Any] = {"home": tmp_path, "machine": Machine(), "jobs": 2, "train": near}
    assert run_study(UNTIL, SETTING, until=UntilDecided(8), **options) == 0
    said = capsys.readouterr().out
    results = record.results_of(UNTIL, SETTING, tmp_path)
    judged = record.judged_as_run(UNTIL, SETTING, tmp_path, results)
    lines = record.claims_frame(UNTIL.claims, judged).to_dict("records")
    assert [line["verdict"] for line in lines] == ["holds", "open"]
    assert [one.decision.state for one in claims.judge_study(UNTIL, SETTING, results)] == [
        "holds",
        "holds",
    ]  # in one look
    for line in lines:
        assert f"{line['claim']} {line['verdict']}: {line['text']}: {line['reason']}" in " ".join(said.split())
    assert "another round is above the budget of 8 jobs" in said
    assert run_study(UNTIL, SETTING, seeds=3, **options) == 0  # and so it stays
    assert "F2 open" in capsys.readouterr().out


def test_until_decided_begins_with_the_seeds_of_the_study() -> None:
    order, more = StudyRun(UNTIL, SETTING, Path()), StudyRun(replace(UNTIL, default="test", seeds=4), SETTING, Path())
    one = StudyRun(UNTIL, replace(SETTING, seeds=1), Path())  # shows no spread
    until = UntilDecided(99)
    assert [o.terms(None, until) for o in (order, more, one)] == [
        sequential.SequentialSettings(n, 99) for n in (2, 4, 2)
    ]
    assert more.terms(3, until) == sequential.SequentialSettings(3, 99) and more.terms(3, None) is None
    assert len(more.asked(None, until)) == 4 * len(UNTIL.rows)


def test_until_decided_goes_on_where_it_was_interrupted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the second round, whose cells follow from the first one's results."""
    until = UntilDecided(40)
    run_study(UNTIL, SETTING, home=tmp_path, machine=Machine(), jobs=2, train=noisy)
    fill, fills = JobQueue.fill, iter(range(100))

    def interrupted(self: JobQueue, plan: Any) -> Any:
        if next(fills) == 1:
            raise KeyboardInterrupt
        return fill(self, plan)

    monkeypatch.setattr(JobQueue, "fill", interrupted)
    options: dict[str, Any] = {"home": tmp_path, "machine": Machine(), "jobs": 1, "train": noisy, "until": until}
    assert run_study(UNTIL, SETTING, **options) == 130
    assert sum(seeds_of(tmp_path).values()) < 12
    assert run_study(UNTIL, SETTING, **options) == 0
    ended = [line for line in log(tmp_path).elements() if line.startswith("end")]
    assert len(ended) == len(set(ended)) == sum(seeds_of(tmp_path).values()) == 12


def test_a_failed_row_stops_the_looks(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options: dict[str, Any] = {"home": tmp_path, "machine": Machine(), "jobs": 2, "until": UntilDecided(40)}
    assert run_study(UNTIL, SETTING, train=faulty, **options) == 1
    out = capsys.readouterr().out
    assert "looks taken 0" in out and "4 of 6 runs are missing" in out and "workbench study retry fake" in out


def test_a_replay_shows_what_would_have_been_saved(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run_study(UNTIL, SETTING, home=tmp_path, machine=Machine(), jobs=2, train=noisy, seeds=6)
    capsys.readouterr()
    assert runner.replay(UNTIL, SETTING, home=tmp_path, seeds=6) == 0
    out = capsys.readouterr().out
    assert " of 18 jobs, " in out and "verdicts the same, 0 the opposite" in out
    assert "until decided: 12 of 18 jobs, 6 saved (33 %)" in out
    with pytest.raises(Refused, match="only a finished study can be replayed"):
        runner.replay(UNTIL, SETTING, home=tmp_path, seeds=7)


def command(home: Path) -> Any:
    """The study as a process group of its own, as a shell would start it. A fork has the imports done."""
    process = multiprocessing.get_context("fork").Process(target=_command, args=(home,))
    process.start()
    return process


def _command(home: Path) -> None:
    os.setsid()
    with (home / "said").open("w") as said, redirect_stdout(said):
        sys.exit(run_study(STUDY, SETTING, home=home, machine=Machine(), jobs=2, train=slow))


def until(begun: int, home: Path, process: Any, seconds: float = 240) -> None:
    """Waits until so many jobs have begun. A busy machine takes its time."""
    end = time.monotonic() + seconds
    while sum(line.startswith("begin") for line in log(home)) < begun:
        if time.monotonic() > end or not process.is_alive():
            process.kill()
            process.join()
            pytest.fail("the command ended or hangs")
        time.sleep(0.05)


@pytest.mark.timeout(300)
def test_sigkill_in_the_middle_loses_and_doubles_nothing(go: Callable[..., int], tmp_path: Path) -> None:
    process = command(tmp_path)
    until(4, tmp_path, process)
    os.killpg(process.pid, signal.SIGKILL)
    process.join()
    ended = sum(line.startswith("end") for line in log(tmp_path))
    assert 2 <= ended < 6
    assert runner.status(STUDY, SETTING, home=tmp_path) == 1
    assert go(train=quick) == 0
    once_each(tmp_path)
    killed = [t for t in trials(tmp_path) if t.state.name == "FAIL"]
    assert killed and not any("outcome" in t.user_attrs for t in killed)


@pytest.mark.timeout(300)
def test_interrupt_stops_the_workers_and_says_how_to_go_on(go: Callable[..., int], tmp_path: Path) -> None:
    process = command(tmp_path)
    until(2, tmp_path, process)
    process.terminate()
    process.join(120)
    assert process.exitcode == 130
    assert "the same command goes on from there" in (tmp_path / "said").read_text()
    entries = JobQueue(StudyRun(STUDY, SETTING, tmp_path)).entries(set(keys()))
    assert JobState.RUNNING not in {entry.state for entry in entries.values()}
    assert JobState.KILLED in {entry.state for entry in entries.values()}
    assert go(train=quick) == 0
    once_each(tmp_path)


@pytest.mark.timeout(300)
def test_two_commands_at_once_share_the_work(server: None, go: Callable[..., int], tmp_path: Path) -> None:
    codes: list[int] = []
    threads = [threading.Thread(target=lambda: codes.append(go(train=slow))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert codes == [0, 0]
    once_each(tmp_path)
    assert all(count == 1 for count in log(tmp_path).values())


def claim(order: StudyRun, number: int) -> None:
    """Takes trials until none waits, and writes down which."""
    study = JobQueue(order).study
    taken = []
    while (trial := study._pop_waiting_trial_id()) is not None:  # what `optimize` does
        taken.append(str(trial))
    (order.home / f"taken{number}").write_text(" ".join(taken))


def test_a_trial_is_claimed_by_one_worker_only(tmp_path: Path) -> None:
    order = StudyRun(STUDY, SETTING, tmp_path)
    ledger = JobQueue(order)
    for i in range(40):
        ledger.study.enqueue_trial({}, user_attrs={"key": str(i)})
    del ledger
    workers = [multiprocessing.get_context("fork").Process(target=claim, args=(order, i)) for i in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    taken = Counter(" ".join(path.read_text() for path in tmp_path.glob("taken*")).split())
    assert len(taken) == 40 and set(taken.values()) == {1}


def test_the_ledger_is_refused_on_a_network_file_system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(job_queue, "_file_system", lambda folder: "nfs4")
    with pytest.raises(Refused, match="WORKBENCH_HOME"):
        JobQueue(StudyRun(STUDY, SETTING, tmp_path))


def test_wrong_changes_and_missing_data_are_refused_at_once(go: Callable[..., int], tmp_path: Path) -> None:
    with pytest.raises(Refused, match=r"--set 'variant.coords.paddin'.*padding"):
        go(sets={"variant.coords.paddin": 1.0})
    with pytest.raises(Refused, match="add --data"):
        go(sets={"protocol.data": ""})
    with pytest.raises(Refused, match="frozen trunks of the embedded scenes"):
        runner.status(STUDY, replace(SETTING, trunks=("a",)), home=tmp_path, data=tmp_path)
    lost = replace(SETTING, scale={**SETTING.scale, "losses.Nothing.weights": (1.0,)})
    with pytest.raises(Refused, match=r"under protocol .*: 'losses.Nothing"):
        runner.status(STUDY, lost, home=tmp_path)
    assert not (tmp_path / "jobs").exists()


def test_a_dead_owner_is_seen_and_a_living_one(monkeypatch: pytest.MonkeyPatch) -> None:
    me = job_queue._owner_id()
    assert job_queue._alive(me)
    host, pid, born = me.rsplit(" ", 2)
    assert not job_queue._alive(f"{host} {pid} {float(born) - 100:.2f}")  # the number was given away again
    assert job_queue._alive(f"elsewhere {pid} {born}")  # only the heartbeat knows


def test_the_table_has_differences_and_their_spread(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    results = []
    for cell in STUDY.cells(SETTING):
        ap = {"base": 0.30, "padding": 0.32, "static": 0.20}[cell.row] + (
            0.02 if cell.row == "static" else 0
        ) * cell.seed
        results.append((cell, Result(cell.job.key, {"AP": ap, "params": 2e6, "gflops": 1.5}, [], {}, tmp_path)))
    console.print_table(STUDY, SETTING, results)
    out = capsys.readouterr().out
    assert "+2.0 ± 0.0" in out and "-9.0 ± 1.4" in out and "2.00" in out
