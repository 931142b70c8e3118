"""Files of jobs in an object store: what is whole is shown, and what is begun goes on elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from threading import Event, Thread
from typing import Any

import optuna
import pytest

from tests.experiments.fakes import FAKED, SETTING, STUDY, finish
from workbench.core.errors import Refused
from workbench.experiments import job_files, job_queue, object_store
from workbench.experiments.job_files import FolderFiles, JobFiles, TakenOver, files_of, last_epoch
from workbench.experiments.job_queue import JobQueue, JobState, stored_entries
from workbench.experiments.object_store import Away, ObjectStore
from workbench.models.initial import start_file
from workbench.models.job import Job, Start
from workbench.study import PlannedJob
from workbench.training.record import (
    Progress,
    Result,
    is_complete,
    job_folder,
    read_curve,
    read_result,
    write_curve,
    write_losses,
    write_result,
)
from workbench.training.rung import Paused, read_pause, rung_of, write_pause

pytestmark = FAKED
SAID = Progress(1, 2, 0.5, 100.0, 1.0, {}, {})
PLAN = {one.job.key: one for one in STUDY.planned_jobs(SETTING)}
JOB = next(iter(PLAN.values())).job


@pytest.fixture
def homes(tmp_path: Path) -> Callable[[str], Path]:
    """Machines with a folder of runs each, by their names."""

    def home(name: str) -> Path:
        (tmp_path / name).mkdir(exist_ok=True)
        return tmp_path / name

    return home


@pytest.fixture
def listings(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The folders that were listed."""
    found, names = list[str](), ObjectStore.names

    def counted(store: ObjectStore, folder: str) -> list[str]:
        found.append(folder)
        return names(store, folder)

    monkeypatch.setattr(ObjectStore, "names", counted)
    return found


def begin(home: Path, key: str, epoch: int) -> None:
    """Epochs, as the trainer leaves them."""
    folder = job_folder(home, key)
    folder.mkdir(parents=True, exist_ok=True)
    write_losses(folder, [{"epoch": float(one)} for one in range(1, epoch + 1)])
    write_curve(folder, [{"epoch": float(one), "AP": one / 10} for one in range(1, epoch + 1)])
    (folder / "checkpoint.pt").write_text(f"epoch {epoch}")


def end(home: Path, key: str) -> Result:
    folder = job_folder(home, key)
    folder.mkdir(parents=True, exist_ok=True)
    write_curve(folder, [{"epoch": 1.0, "AP": 0.1}, {"epoch": 2.0, "AP": 0.2}])
    (folder / "weights.safetensors").write_text("weights")
    write_result(folder, key, {"AP": 0.2}, {})
    (folder / "checkpoint.pt").unlink(missing_ok=True)
    return read_result(folder)


@contextmanager
def in_hand(home: Path, job: Job = JOB, owner: str = "me 1 0.00 7") -> Iterator[Callable[[Progress], None]]:
    """A worker on a machine that has the job in hand, as the queue does it."""
    job_folder(home, job.key).mkdir(parents=True, exist_ok=True)
    (job_folder(home, job.key) / "owner").write_text(owner)
    with files_of(home).in_hand(job, owner, lambda _: None) as tell:
        yield tell


def trained(home: Path, job: Job = JOB) -> None:
    with in_hand(home, job):
        end(home, job.key)


def names(address: str, key: str = JOB.key) -> set[str]:
    return {one.rpartition("/")[2] for one in ObjectStore(address).names(f"jobs/{key}")}


# Who looks


def test_without_an_address_it_is_the_folder_of_runs(tmp_path: Path) -> None:
    files = files_of(tmp_path, "")
    assert files == FolderFiles(tmp_path) and files.shown == str(tmp_path) and not files.remote
    files.check()
    files.show(PLAN)
    files.exchange(PLAN)
    told: list[Progress] = []
    with files.in_hand(JOB, "me", told.append) as tell:
        tell(SAID)
    assert told == [SAID] and not list(tmp_path.iterdir())
    assert files.folder_id().endswith(f":{tmp_path}")


def test_a_result_of_another_machine_is_shown(address: str, homes: Callable[[str], Path]) -> None:
    trained(homes("b"))
    files_of(homes("a")).show(PLAN)
    found = read_result(job_folder(homes("a"), JOB.key))
    assert found.metrics == {"AP": 0.2} and [line["AP"] for line in found.curve] == [0.1, 0.2]
    assert (found.folder / "weights.safetensors").read_text() == "weights"
    assert {path.name for path in found.folder.iterdir()} == {"curve.csv", "weights.safetensors", "result.json"}
    assert [path.name for path in (homes("a") / "jobs").iterdir()] == [JOB.key]


def test_one_without_its_last_file_is_not(address: str, homes: Callable[[str], Path]) -> None:
    end(homes("b"), JOB.key)
    folder = job_folder(homes("b"), JOB.key)
    ObjectStore(address).put({f"jobs/{JOB.key}/{n}": folder / n for n in ("curve.csv", "weights.safetensors")})
    files_of(homes("a")).show(PLAN)
    assert not job_folder(homes("a"), JOB.key).exists()
    assert files_of(homes("b")).show(PLAN) is None and is_complete(folder), "what is here stays"


def test_one_that_is_replaced_meanwhile_is_left_for_later(
    address: str, homes: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    for one in PLAN.values():
        trained(homes("b"), one.job)
    listed = ObjectStore.names
    gone = f"jobs/{JOB.key}/weights.safetensors"
    ObjectStore(address).remove([gone])
    monkeypatch.setattr(ObjectStore, "names", lambda store, folder: [*listed(store, folder), gone])
    files_of(homes("a")).show(PLAN)
    assert {key: is_complete(job_folder(homes("a"), key)) for key in PLAN} == {key: key != JOB.key for key in PLAN}
    assert not list(homes("a").rglob("*.part"))


def test_many_keys_are_one_listing_and_known_ones_none(
    address: str, homes: Callable[[str], Path], listings: list[str]
) -> None:
    assert len(PLAN) > job_files.FEW
    trained(homes("b"))
    listings.clear()
    files = files_of(homes("a"))
    files.show(PLAN)
    assert listings == ["jobs"] and is_complete(job_folder(homes("a"), JOB.key))
    files.show(PLAN)
    files.show(PLAN, {JOB.key: 3})
    assert listings == ["jobs"], "nothing has ended that is not here"
    other = list(PLAN)[1]
    trained(homes("b"), PLAN[other].job)
    listings.clear()
    files.show(PLAN, {JOB.key: 3, other: 4})
    files.show(PLAN, {JOB.key: 3, other: 4})
    assert listings == [f"jobs/{other}"] and is_complete(job_folder(homes("a"), other))


def test_a_pause_is_shown_without_its_checkpoint(address: str, homes: Callable[[str], Path]) -> None:
    with in_hand(homes("b")):
        begin(homes("b"), JOB.key, 1)
        write_pause(job_folder(homes("b"), JOB.key), JOB.key, 1, {})
    assert names(address) == {"losses.csv", "curve.csv", "checkpoint.pt", "paused.json"}
    folder = job_folder(homes("a"), JOB.key)
    files_of(homes("a")).show(PLAN)
    assert rung_of(folder) == 1 and read_curve(folder) and not (folder / "checkpoint.pt").exists()
    with in_hand(homes("a")):
        assert (folder / "checkpoint.pt").read_text() == "epoch 1", "whoever goes on needs it"
        end(homes("a"), JOB.key)
        (folder / "paused.json").unlink()
    assert names(address) == {"losses.csv", "curve.csv", "weights.safetensors", "result.json"}
    files_of(homes("b")).show(PLAN)
    folder = job_folder(homes("b"), JOB.key)
    assert is_complete(folder) and not (folder / "paused.json").exists() and not (folder / "checkpoint.pt").exists()


# Who trains


def test_a_checkpoint_is_there_when_it_is_told_and_another_machine_goes_on(
    address: str, homes: Callable[[str], Path]
) -> None:
    with pytest.raises(KeyboardInterrupt), in_hand(homes("b")) as tell:
        tell(SAID)
        begin(homes("b"), JOB.key, 1)
        tell(SAID)
        begin(homes("b"), JOB.key, 2)
        tell(SAID)
        raise KeyboardInterrupt
    assert "result.json" not in names(address)
    folder = job_folder(homes("c"), JOB.key)
    with in_hand(homes("c")):
        assert last_epoch(folder) == 2 and (folder / "checkpoint.pt").read_text() == "epoch 2"
        assert len(read_curve(folder)) == 2
        end(homes("c"), JOB.key)
    assert names(address) == {"curve.csv", "losses.csv", "weights.safetensors", "result.json"}
    with in_hand(homes("b")):
        assert is_complete(job_folder(homes("b"), JOB.key)), "it is done"


def test_what_is_further_here_goes_on_from_here(address: str, homes: Callable[[str], Path]) -> None:
    with in_hand(homes("b")) as tell:
        begin(homes("b"), JOB.key, 1)
        tell(SAID)
    begin(homes("c"), JOB.key, 5)
    with in_hand(homes("c")) as tell:
        assert (job_folder(homes("c"), JOB.key) / "checkpoint.pt").read_text() == "epoch 5"
        tell(SAID)
    with in_hand(homes("b")):
        assert last_epoch(job_folder(homes("b"), JOB.key)) == 5


def test_only_what_has_changed_is_sent(
    address: str, homes: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    sent, put = list[str](), ObjectStore.put

    def counted(store: ObjectStore, files: Any) -> None:
        sent.extend(name.rpartition("/")[2] for name in files)
        put(store, files)

    monkeypatch.setattr(ObjectStore, "put", counted)
    folder = job_folder(homes("b"), JOB.key)
    with in_hand(homes("b")) as tell:
        begin(homes("b"), JOB.key, 1)
        (folder / "job.json").write_text("{}")
        (folder / "progress.json").write_text("{}")
        (folder / "error.txt").write_text("of this machine")
        tell(SAID)
        assert sorted(sent[:3]) == ["curve.csv", "job.json", "losses.csv"] and sent[3:] == ["checkpoint.pt"]
        tell(SAID)
        assert len(sent) == 4
        begin(homes("b"), JOB.key, 2)
        tell(SAID)
        assert len(sent) == 7 and sent[-1] == "checkpoint.pt"
        end(homes("b"), JOB.key)
    assert sorted(sent[7:-1]) == ["curve.csv", "weights.safetensors"] and sent[-1] == "result.json"


def test_who_was_not_heard_for_too_long_leaves_the_job(
    address: str, homes: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(TakenOver), in_hand(homes("b")) as tell:
        begin(homes("b"), JOB.key, 1)
        tell(SAID)
        with pytest.raises(KeyboardInterrupt), in_hand(homes("c"), owner="another 1 0.00 8"):
            raise KeyboardInterrupt
        tell(SAID)
        begin(homes("b"), JOB.key, 2)
        tell(SAID)
    assert last_epoch_there(address) == 1
    with pytest.raises(TakenOver), in_hand(homes("b")):
        with pytest.raises(KeyboardInterrupt), in_hand(homes("c"), owner="another 1 0.00 8"):
            raise KeyboardInterrupt
        end(homes("b"), JOB.key)
    assert "result.json" not in names(address)
    monkeypatch.setattr(job_files, "ASK", 0.0)
    with pytest.raises(TakenOver), in_hand(homes("b")) as tell:
        ObjectStore(address).remove([f"jobs/{JOB.key}/owner"])  # it is complete
        tell(SAID)


def last_epoch_there(address: str) -> int:
    return len((ObjectStore(address).read(f"jobs/{JOB.key}/losses.csv") or "").split()) - 1


def test_what_a_job_begins_with_is_brought(address: str, homes: Callable[[str], Path]) -> None:
    """Another job, with its state, and a file of weights."""
    with in_hand(homes("b")):
        (job_folder(homes("b"), JOB.key) / "state.pt").write_text("state")
        end(homes("b"), JOB.key)
    fork, folder = replace(JOB, start=Start(key=JOB.key)), job_folder(homes("c"), JOB.key)
    files_of(homes("c")).show(PLAN)
    assert is_complete(folder) and not (folder / "state.pt").exists()
    with in_hand(homes("c"), fork):
        assert (folder / "state.pt").read_text() == "state"
    with in_hand(homes("d"), fork):
        assert is_complete(job_folder(homes("d"), JOB.key))
    digest = "0123456789ab"
    (homes("b") / "starts").mkdir()
    (homes("b") / "starts" / f"{digest}.pth").write_text("weights")
    job = replace(JOB, start=Start(weights=digest))
    files_of(homes("b")).exchange({job.key: PlannedJob("row", 0, "", job)})
    with in_hand(homes("c"), job):
        assert start_file(homes("c"), digest).read_text() == "weights"


def test_who_plans_offers_what_it_has(address: str, homes: Callable[[str], Path], listings: list[str]) -> None:
    end(homes("a"), JOB.key)
    files = files_of(homes("a"))
    files.exchange(PLAN)
    assert names(address) == {"curve.csv", "weights.safetensors", "result.json"}
    trained(homes("c"), list(PLAN.values())[1].job)
    listings.clear()
    files.exchange(PLAN)
    assert listings == [], "once"
    files_of(homes("a")).exchange(PLAN)
    assert is_complete(job_folder(homes("a"), list(PLAN)[1])), "and it brings what others have"
    files_of(homes("b")).show(PLAN)
    assert is_complete(job_folder(homes("b"), JOB.key))


# The queue


def queue_of(home: Path) -> JobQueue:
    return JobQueue(home, "fake/test")


def test_whoever_only_looks_sees_them(address: str, homes: Callable[[str], Path]) -> None:
    trained(homes("b"))
    entries = stored_entries(homes("a"), "fake/test", PLAN)
    assert entries[JOB.key].state is JobState.COMPLETE and not (homes("a") / "optuna.db").exists()


@pytest.mark.slow
def test_a_queue_goes_on_from_what_was_done_elsewhere(address: str, homes: Callable[[str], Path]) -> None:
    for one in list(PLAN.values())[1:]:
        trained(homes("b"), one.job)
    with pytest.raises(KeyboardInterrupt), in_hand(homes("b")) as tell:
        begin(homes("b"), JOB.key, 3)
        tell(SAID)
        raise KeyboardInterrupt
    queue, seen = queue_of(homes("a")), dict[str, int]()
    entries = queue.fill(PLAN)
    assert {key for key, entry in entries.items() if entry.state is JobState.COMPLETE} == {*PLAN} - {JOB.key}

    def train(job: Job, tell: Callable[[Progress], None], until: int) -> Result | Paused:
        seen[job.key] = last_epoch(job_folder(homes("a"), job.key))
        if until:
            write_pause(job_folder(homes("a"), job.key), job.key, until, {})
            return read_pause(job_folder(homes("a"), job.key))
        return end(homes("a"), job.key)

    queue.work(train)
    assert seen == {JOB.key: 3} and "result.json" in names(address)
    assert [t.user_attrs.get("begun") for t in queue.attempts() if t.user_attrs["key"] == JOB.key] == [3]


@pytest.mark.slow
def test_who_can_not_reach_the_files_takes_no_job_and_breaks_none(
    address: str, homes: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(object_store, "OUTAGE", 0.0)
    queue = queue_of(homes("a"))
    queue.fill(PLAN)
    taken: list[str] = []

    def away(files: JobFiles) -> None:
        raise Away("files: away")

    def train(job: Job, tell: Callable[[Progress], None], until: int) -> Result:
        taken.append(job.key)
        monkeypatch.setattr(type(queue.files), "check", away)
        raise Away("files: away")

    with pytest.raises(Refused, match="files: away"):
        queue.work(train)
    monkeypatch.undo()
    assert len(taken) == 1
    entry = queue_of(homes("a")).entries(taken)[taken[0]]
    assert (entry.state, entry.failures, entry.note) == (JobState.KILLED, 0, "Away: files: away")
    assert queue_of(homes("a")).fill(PLAN)[taken[0]].queued, "others can"


def test_attempts_that_died_elsewhere_are_counted_where_they_stood(address: str, homes: Callable[[str], Path]) -> None:
    """Nothing of theirs is here but what they said when they began."""
    queue = queue_of(homes("a"))
    queue.fill({JOB.key: PLAN[JOB.key]})
    for begun in (0, 2, 4, 4, 4):
        said = {"key": JOB.key, "begun": begun}
        queue.study.add_trial(optuna.trial.create_trial(state=optuna.trial.TrialState.FAIL, user_attrs=said))
    assert queue.entries([JOB.key])[JOB.key].killed == 3


def test_a_worker_that_ends_while_others_look_is_not_taken_for_killed(
    address: str, database: str, homes: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It lives when they look for the dead, and is through a moment later, when they ask where its job stands."""
    looked = Event()
    here = JobQueue(homes("one"), "plan")
    here.fill({JOB.key: PLAN[JOB.key]})

    def train(job: Job, tell: Callable[[Progress], None], until: int) -> Result:
        looked.wait(60)
        return finish(job, homes("two"), tell)

    def lives(owner: str) -> bool:
        ends, _ = worker.is_alive(), looked.set()
        worker.join(60)
        return ends

    worker = Thread(target=lambda: JobQueue(homes("two"), "plan").work(train, once=True))
    worker.start()
    while here.waiting():
        time.sleep(0.01)
    monkeypatch.setattr(job_queue, "alive", lives)
    entry = here.fill({JOB.key: PLAN[JOB.key]})[JOB.key]
    assert entry.state is JobState.COMPLETE and len(here.attempts()) == 1
