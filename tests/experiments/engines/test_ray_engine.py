"""Jobs as tasks of a Ray cluster: what they ask for, what a node is refused for, and a node that dies."""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import optuna
import pytest

from tests.experiments.fakes import FAKED, SETTING, STUDY, finish, log, quick
from tests.experiments.seven import JOBS, Place, ended, numbers
from tests.ray_nodes import Cluster, Node, cluster
from workbench.core.errors import Refused
from workbench.experiments.engines import ray_engine
from workbench.experiments.engines.ray_engine import RayEngine, Slot, one_job, sent, slot_of
from workbench.experiments.job_queue import JobQueue
from workbench.experiments.owners import alive, owner_id
from workbench.experiments.queue_entry import JobState
from workbench.experiments.stores import store_of
from workbench.experiments.worker_pool import WorkerSettings
from workbench.models.job import Job
from workbench.training.machine import Machine
from workbench.training.record import Progress, Result, read_losses

pytestmark = FAKED
NAME = "fake/test"


@pytest.mark.parametrize(
    ("nodes", "slot"),
    [
        ([{"CPU": 8.0}, {"CPU": 2.0}], Slot(1, 0)),
        ([{"CPU": 16.0, "GPU": 2.0}], Slot(8, 1)),
        ([{"CPU": 16.0, "GPU": 2.0}, {"CPU": 4.0, "GPU": 1.0}, {"CPU": 64.0}], Slot(4, 1)),
        ([{"CPU": 1.0, "GPU": 4.0}], Slot(1, 1)),
        ([{}], Slot(1, 0)),
    ],
)
def test_a_job_asks_for_a_core_or_for_a_gpu_and_its_share(nodes: list[dict[str, float]], slot: Slot) -> None:
    assert slot_of(nodes) == slot


def test_a_job_has_the_part_of_a_node_that_it_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    found = {"": Machine("cuda", bf16=True, workers=12, ranks=1), "cpu": Machine("cpu")}
    monkeypatch.setattr(ray_engine, "machine_on", found.__getitem__)
    assert Slot(4, 1).machine() == Machine("cuda", bf16=True, workers=3, ranks=1)
    assert Slot(1, 0).machine() == Machine("cpu")


@pytest.fixture
def nodes(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """A cluster that is only told of."""
    made: list[dict[str, Any]] = []
    monkeypatch.setattr(ray_engine, "connect", lambda address: None)
    monkeypatch.setattr(ray_engine, "nodes_of", lambda: made)
    monkeypatch.setattr(ray_engine.socket, "gethostname", lambda: "here")
    return made


def test_other_machines_need_a_store_that_they_see(
    nodes: list[dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nodes += [{"NodeManagerHostname": "here"}, {"NodeManagerHostname": "here"}]
    RayEngine().check(None, tmp_path)
    nodes.append({"NodeManagerHostname": "there"})
    with pytest.raises(Refused, match=r"^the Ray cluster has other machines, such as there: .* add --store URL"):
        RayEngine().check(None, tmp_path)
    pytest.importorskip("psycopg", reason="no psycopg: it is the extra `cluster`")
    monkeypatch.setenv("WORKBENCH_STORE", "postgresql://me@db/runs")
    RayEngine().check(None, tmp_path)
    with pytest.raises(Refused, match="--jobs 0: with --engine ray the cluster does the jobs"):
        RayEngine().check(0, tmp_path)


# A task, called here


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> WorkerSettings:
    """Of a queue in which three jobs wait."""
    monkeypatch.setenv("WORKBENCH_STORE", "")
    monkeypatch.chdir(tmp_path)
    JobQueue(tmp_path, NAME).fill({one.job.key: one for one in STUDY.planned_jobs(SETTING, 1)})
    return WorkerSettings(tmp_path, NAME, Machine(), None, quick)


def test_a_task_says_who_it_is_and_does_one_job(settings: WorkerSettings) -> None:
    assert list(one_job(sent(settings, Slot()))) == [owner_id()]
    assert sorted(log(settings.home).values()) == [1, 1]
    states = [entry.state for entry in _entries(settings).values()]
    assert sorted(states) == [JobState.COMPLETE, JobState.PLANNED, JobState.PLANNED]
    for _ in range(3):
        list(one_job(sent(settings, Slot())))
    assert {entry.state for entry in _entries(settings).values()} == {JobState.COMPLETE}


def _entries(settings: WorkerSettings) -> dict[str, Any]:
    return JobQueue(settings.home, NAME).entries(one.job.key for one in STUDY.planned_jobs(SETTING, 1))


def test_a_job_is_trained_on_what_its_node_has(settings: WorkerSettings, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever its command has: results say in which precision they were computed."""
    monkeypatch.setattr(ray_engine, "machine_on", lambda device: Machine("cuda", bf16=True, workers=9))
    list(one_job(sent(replace(settings, train=noting), Slot(2, 1))))
    assert (settings.home / "machine").read_text() == repr(Machine("cuda", bf16=True, workers=1))


def noting(
    job: Job, machine: Machine, home: Path, data: Path | None, tell: Callable[[Progress], None], until: int
) -> Result:
    (home / "machine").write_text(repr(machine))
    return finish(job, home, tell)


def test_a_task_knows_what_its_command_knows_and_shows_no_password(
    settings: WorkerSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGPASSWORD", "s3cret")
    monkeypatch.setenv("HOME", "/home/me")
    what = sent(replace(settings, store="postgresql://me:s3cret@db/runs"), Slot())
    assert what.environment["PGPASSWORD"] == "s3cret" and "HOME" not in what.environment
    assert "s3cret" not in repr(what)


def test_a_node_that_does_not_see_the_runs_is_refused(
    settings: WorkerSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    away = sent(replace(settings, home=settings.home / "nowhere"), Slot())
    with pytest.raises(Refused, match=r"sees no folder .*nowhere: set WORKBENCH_HOME to one that all machines"):
        next(one_job(away))
    here = sent(settings, Slot())
    monkeypatch.setattr(ray_engine, "this_host", lambda: "there")
    with pytest.raises(Refused, match=r"^there is another machine than .*, and the store is a file there"):
        next(one_job(here))


def test_what_a_dead_worker_had_in_hand_is_queued_again_at_once(settings: WorkerSettings) -> None:
    """Even if it is on a machine of which only the heartbeat tells."""
    queue, plan = JobQueue(settings.home, NAME), {one.job.key: one for one in STUDY.planned_jobs(SETTING, 1)}
    taken, other = (trial for trial in queue.attempts()[:2])
    storage = store_of(settings.home).open()
    for trial, owner in ((taken, "far/1 7 1.00"), (other, "far/1 8 1.00")):
        storage.set_trial_state_values(trial.trial_id, type(trial.state).RUNNING)
        storage.set_trial_user_attr(trial.trial_id, "owner", owner)
    states = {key: entry.state for key, entry in queue.fill(plan).items()}
    assert states[taken.user_attrs["key"]] is states[other.user_attrs["key"]] is JobState.RUNNING
    queue.bury("far/1 7 1.00")
    entries = queue.fill(plan)
    assert entries[taken.user_attrs["key"]].queued and entries[taken.user_attrs["key"]].ended == 1
    assert entries[other.user_attrs["key"]].state is JobState.RUNNING


# On a cluster


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    return Place(tmp_path_factory.mktemp("seven"))


@pytest.fixture
def nodes_here(place: Place) -> Iterator[Cluster]:
    pytest.importorskip("ray", reason="no ray: it is the extra `cluster`")
    with cluster(2, place.environment) as made:
        yield made


@pytest.mark.soak
@pytest.mark.timeout(3000)
def test_whatever_dies_the_study_is_that_of_one_machine(
    nodes_here: Cluster, place: Place, alone: dict[str, Any]
) -> None:
    """The command is asked to end, then it is killed, and then a node is, each in the middle of a job."""
    head, second = nodes_here.nodes
    words = ("study", "--engine", "ray", "--address", nodes_here.address)
    for ends, code in ((signal.SIGTERM, 130), (signal.SIGKILL, -signal.SIGKILL)):
        command = place.start(*words)
        _wait(command, place, head)
        owners = [" ".join(words[:3]) for words in _owners(place.home).values()]
        command.send_signal(ends)
        said = ended(command, code)
        _until(lambda: not any(alive(one) for one in owners), "its tasks live on")  # noqa: B023
        assert code < 0 or "the same command goes on from there" in said
    command = place.start(*words)
    begun = _wait(command, place, second)
    second.kill()
    said = ended(command)
    assert f"{JOBS} of {JOBS} complete" in said and "jobs at a time: 2, each with 1 CPU" in said
    (name,) = optuna.get_all_study_names(store_of(place.home).open())
    trials = JobQueue(place.home, name).attempts()
    complete = [t.user_attrs["key"] for t in trials if t.state.name == "COMPLETE"]
    assert len(complete) == len(set(complete)) == JOBS
    assert set(begun) <= {t.user_attrs["key"] for t in trials if t.state.name == "FAIL"}
    assert numbers(place.home) == alone
    assert head.process.poll() is None


def _wait(command: subprocess.Popen[str], place: Place, node: Node) -> list[str]:
    """The jobs that a node has in hand, when it has some and an epoch of them is kept."""

    def begun() -> list[str]:
        assert command.poll() is None, command.communicate()[0]
        there = node.processes()
        mine = [folder for folder, words in _owners(place.home).items() if int(words[1]) in there]
        return [folder.name for folder in mine if read_losses(folder)]

    return _until(begun, "the node does nothing")


def _owners(home: Path) -> dict[Path, list[str]]:
    """Of each job that is in hand its folder, and the words of who has it."""
    found: dict[Path, list[str]] = {}
    for file in home.glob("jobs/*/owner"):
        with suppress(FileNotFoundError):
            found[file.parent] = file.read_text("utf-8").split()
    return {folder: words for folder, words in found.items() if len(words) == 4}


def _until(ready: Callable[[], Any], otherwise: str) -> Any:
    end = time.monotonic() + 600
    while not (found := ready()):
        assert time.monotonic() < end, otherwise
        time.sleep(0.1)
    return found
