"""Files: locks that hold between threads and processes, and files that are there whole or not at all."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import psutil
import pytest

from tests.small import SMALL, small_job, small_variant
from workbench.core import files
from workbench.core.errors import Refused
from workbench.core.files import (
    NETWORK,
    check_space,
    check_writable,
    file_system,
    locked,
    locked_folder,
    make_once,
    remove_parts,
    write_whole,
)
from workbench.data.synthetic.dataset import SyntheticScenes, cached
from workbench.evaluation.records import MatchRecords
from workbench.experiments import profiling
from workbench.experiments.plan import SequentialSettings, StudyRun
from workbench.models import trunk
from workbench.models.job import Protocol
from workbench.models.network import Network
from workbench.models.variant import Variant
from workbench.study import Row, Study, StudyProtocol, TimedRow, TimingStudy
from workbench.training.machine import Machine
from workbench.training.run import run

ROOT = Path(__file__).parents[2]


class Interrupted(Exception):
    pass


@pytest.fixture
def started() -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Starts a script in a process of its own and waits for its first line; the process is killed in the end."""
    running: list[subprocess.Popen[str]] = []

    def start(script: str, *words: object) -> subprocess.Popen[str]:
        command = [sys.executable, "-c", script, *map(str, words)]
        running.append(subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={"PYTHONPATH": str(ROOT)}))
        assert running[-1].stdout is not None and running[-1].stdout.readline()
        return running[-1]

    yield start
    for process in running:
        process.kill()
        process.communicate()


HOLD = """
import sys, time
from pathlib import Path
from workbench.core.files import locked
with locked(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(600)
"""
SAVE = """
import sys, time
from pathlib import Path
from workbench.core.files import write_whole
with write_whole(Path(sys.argv[1])) as part:
    part.write_bytes(bytes(1000))
    print("half written", flush=True)
    time.sleep(600)
"""
FORK = """
import os, sys, time
from pathlib import Path
from workbench.core.files import locked
with locked(Path(sys.argv[1])):
    if not (child := os.fork()):
        time.sleep(600)
with locked(Path(sys.argv[1])):
    os.kill(child, 9)
    print("free", flush=True)
"""


def test_one_thread_at_a_time_holds_a_lock(tmp_path: Path) -> None:
    inside: list[int] = []

    def enter(_: int) -> int:
        with locked(tmp_path / "new" / "lock"):
            inside.append(1)
            most = len(inside)
            time.sleep(0.01)
            inside.pop()
        return most

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(enter, range(8))) == [1] * 8


def test_a_lock_falls_with_the_process_that_holds_it(started: Any, tmp_path: Path) -> None:
    holder, entered = started(HOLD, tmp_path / "lock"), threading.Event()

    def enter() -> None:
        with locked(tmp_path / "lock"):
            entered.set()

    waiting = threading.Thread(target=enter)
    waiting.start()
    assert not entered.wait(0.2), "another process holds it"
    holder.send_signal(signal.SIGKILL)
    assert entered.wait(30)
    waiting.join()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_a_child_process_does_not_keep_the_lock(started: Any, tmp_path: Path) -> None:
    started(FORK, tmp_path / "lock")


def test_a_file_is_the_old_one_until_it_is_the_new_one(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "a.json"
    for durable, text in ((True, "one"), (False, "two")):
        before = path.read_text() if path.exists() else None
        with write_whole(path, durable) as part:
            part.write_text(text)
            assert (path.read_text() if path.exists() else None) == before
        assert path.read_text() == text
    with pytest.raises(Interrupted), write_whole(path) as part:
        part.write_text("thr")
        raise Interrupted
    assert path.read_text() == "two" and [p.name for p in path.parent.iterdir()] == ["a.json"]


def test_a_folder_is_written_whole_too(tmp_path: Path) -> None:
    with pytest.raises(Interrupted), write_whole(tmp_path / "a") as part:
        (part / "deep").mkdir(parents=True)
        (part / "deep" / "one").write_text("1")
        raise Interrupted
    assert not list(tmp_path.iterdir())
    with write_whole(tmp_path / "a") as part:
        (part / "deep").mkdir(parents=True)
        (part / "deep" / "one").write_text("1")
    assert (tmp_path / "a" / "deep" / "one").read_text() == "1"


def test_what_a_killed_process_left_is_removed_by_the_next_that_holds_the_lock(started: Any, tmp_path: Path) -> None:
    """A killed save leaves a whole training state; that of a living one, of another job, stays."""
    mine, other = tmp_path / "a", tmp_path / "b"
    killed, alive = (started(SAVE, folder / "checkpoint.pt") for folder in (mine, other))
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    (mine / "checkpoint.123.0a1b2c3d.part").write_bytes(b"as earlier versions named it")
    (mine / "result.json").write_text("{}")
    assert len(list(mine.glob("*.part"))) == 2 and len(list(other.glob("*.part"))) == 1
    with locked_folder(mine):
        assert {p.name for p in mine.iterdir()} == {"result.json", "lock"}
    assert len(list(other.glob("*.part"))) == 1 and alive.poll() is None


def test_only_the_parts_of_the_named_file_are_removed(tmp_path: Path) -> None:
    for name in ("a[1]+2", "a[1]+24", "a1+2"):
        (tmp_path / f"{name}.7.00.part").write_text("")
    remove_parts(tmp_path, "a[1]+2")
    assert {p.name for p in tmp_path.iterdir()} == {"a[1]+24.7.00.part", "a1+2.7.00.part"}


def test_of_many_that_ask_one_makes_it(tmp_path: Path) -> None:
    made: list[Path] = []

    def make(part: Path) -> None:
        made.append(part)
        time.sleep(0.05)
        part.write_text("made")

    (tmp_path / "a.1.00.part").write_text("of a killed process")
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: make_once(tmp_path / "a", make), range(4)))
    assert len(made) == 1 and (tmp_path / "a").read_text() == "made" and not list(tmp_path.glob("*.part"))


def test_after_a_failure_the_next_one_makes_it(tmp_path: Path) -> None:
    def fail(part: Path) -> None:
        part.write_text("ha")
        raise Interrupted

    with pytest.raises(Interrupted):
        make_once(tmp_path / "a", fail)
    make_once(tmp_path / "a", lambda part: part.write_text("whole"))
    assert (tmp_path / "a").read_text() == "whole"


# ------------------------------------------------------------------------------------ everything that the project saves


def _records(home: Path) -> None:
    one, none = np.zeros(1), np.zeros((0, 10), np.bool_)
    MatchRecords(
        image_ids=one.astype(np.int64), image=np.zeros(0, np.int32), category=np.zeros(0, np.int16),
        scores=np.zeros(0), matched=none, ignored=none, positives=np.ones((1, 1), np.int32),
        oks_sum=one, oks_count=one.astype(np.int32), error_sum=one, error_count=one.astype(np.int32),
    ).save(home / "records.npz")  # fmt: skip


def _profile(home: Path) -> None:
    setting = StudyProtocol("t", "", Protocol(size=(64, 64)), scale=SMALL)
    timed = TimingStudy("p", "", "", Variant(), (TimedRow("a", 1),), ())
    profiling.run_timing(profiling.TimingRun(timed, setting, home))


def _run(home: Path) -> StudyRun:
    return StudyRun(Study("s", "", "", Variant(), (Row("a"),)), StudyProtocol("t", "", Protocol(size=(64, 64))), home)


SAVERS: dict[str, Callable[[Path], object]] = {
    "match records": _records,
    "job that others go on from": lambda home: run(small_job(epochs=2, stop=1), Machine(), home),
    "trunk": lambda home: trunk.store_trunk("tiny", small_job(), Network(small_variant(), 0).state_dict(), {}),
    "features": lambda home: trunk.features(Network(small_variant(), 0), _batches, 0, home / "f.safetensors"),
    "sequential settings": lambda home: _run(home).write_settings(SequentialSettings(2)),
    "scenes": lambda home: cached(SyntheticScenes("easy", 32, 0, 3), home),
    "measurement": _profile,
    "job": lambda home: run(small_job(epochs=1), Machine(), home),
}


def _batches() -> list[Any]:
    from workbench.data.loader import Loader

    scenes = [SyntheticScenes("easy", 64, count=2)[i] for i in range(2)]
    return list(Loader(scenes, 2, seed=0, shuffle=False)(0))


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(trunk, "STORED", tmp_path / "home" / "trunks")
    monkeypatch.setattr(profiling, "ROUNDS", 6)
    monkeypatch.setattr("workbench.experiments.tracking.MlflowRecord.record", lambda *_: None)
    return tmp_path / "home"


@pytest.mark.slow
@pytest.mark.parametrize("name", SAVERS)
def test_an_interrupted_save_leaves_nothing(name: str, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The last moment before the new name: what was written in place would be there by then."""
    replaced: list[str] = []

    def interrupt(source: Path, target: Path) -> None:
        replaced.append(target.name)
        raise Interrupted

    monkeypatch.setattr(files.os, "replace", interrupt)
    with pytest.raises(Interrupted):
        SAVERS[name](home)
    assert len(replaced) == 1
    assert [p for p in home.rglob("*") if p.is_file() and p.suffix != ".lock"] == []


@pytest.mark.slow
@pytest.mark.parametrize("name", SAVERS)
def test_all_of_it_is_written_whole_and_may_be_read_by_whom_the_umask_says(
    name: str, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    replaced: set[Path] = set()
    replace = os.replace

    def noted(source: Path, target: Path) -> None:
        replaced.add(target)
        replace(source, target)

    monkeypatch.setattr(files.os, "replace", noted)
    before = os.umask(0o027)
    try:
        SAVERS[name](home)
    finally:
        os.umask(before)
    saved = [p for p in home.rglob("*") if p.is_file() and p.suffix != ".lock"]
    assert saved and {oct(p.stat().st_mode & 0o777) for p in saved} == {"0o640"}
    assert [p for p in saved if not replaced & {p, p.parent}] == []
    assert not list(home.rglob("*.part"))


def test_the_file_system_of_a_folder_is_that_of_the_nearest_mount(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = (("/", "ext4"), (str(tmp_path), "NFS4"))
    mounts = [SimpleNamespace(mountpoint=place, fstype=kind) for place, kind in found]
    monkeypatch.setattr(psutil, "disk_partitions", lambda all: mounts)
    assert file_system(tmp_path / "deep") == "nfs4" and file_system(tmp_path / "deep") in NETWORK
    assert file_system(tmp_path.parent) == "ext4"


def test_what_is_damaged_is_made_again_and_said(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    made: list[Path] = []

    def make(part: Path) -> None:
        made.append(part)
        part.write_text("whole")

    for content in ("whole", "who", "whole"):
        (tmp_path / "a").write_text(content)
        make_once(tmp_path / "a", make, lambda path: path.read_text() == "whole")
        assert (tmp_path / "a").read_text() == "whole"
    assert len(made) == 1 and f"{tmp_path / 'a'} is damaged; it is made again" in capfd.readouterr().err


def test_a_folder_is_looked_at_before_anything_is_computed_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    check_writable(tmp_path / "not" / "there")
    check_space(tmp_path, 1)
    (tmp_path / "file").touch()
    with pytest.raises(Refused, match=f"{tmp_path / 'file'} is no folder; .*deeper is to be one"):
        check_writable(tmp_path / "file" / "deeper")
    with pytest.raises(Refused, match=r"disk full: .* MB left"):
        check_space(tmp_path, 10**18)
    with pytest.raises(Refused, match=r"/proc can not be written \(no disk holds it\)"):
        check_space(Path("/proc"), 1)
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(Refused, match=f"{tmp_path} can not be written"):
        check_writable(tmp_path / "not" / "there")
