"""Where a study lives: which addresses are taken, and that locks and tables hold for all who share a database."""

from __future__ import annotations

import multiprocessing
import os
import signal
import socket
import sqlite3
import sys
import threading
import time
from contextlib import closing
from pathlib import Path

import pytest

from benchmarks._postgres import PASSWORD, Server
from workbench.core.errors import Refused
from workbench.experiments import stores
from workbench.experiments.stores import (
    STORE_VARIABLE,
    FileStore,
    ServerStore,
    check_address,
    folder_id,
    given_store,
    masked,
    outlasting,
    store_of,
)

forked = pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")


# Addresses


@pytest.fixture
def driver(monkeypatch: pytest.MonkeyPatch) -> None:
    """A driver is there, whether it is installed or not."""
    monkeypatch.setitem(sys.modules, "psycopg", type(sys)("psycopg"))


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("postgresql://db/runs", "postgresql://db/runs"),
        ("postgres://me@db:5432/runs", "postgres://me@db:5432/runs"),
        ("postgresql://me:secret@db:5432/runs", "postgresql://me@db:5432/runs"),
        ("postgresql://me:%40secret@[::1]:5432/runs", "postgresql://me@[::1]:5432/runs"),
        ("postgresql://a:1,b:2/runs?sslmode=require", "postgresql://a:1,b:2/runs?sslmode=require"),
        ("postgresql:///runs?host=/run/sql&password=secret", "postgresql:///runs?host=/run/sql"),
        ("postgresql://me@db/runs?sslpassword=secret", "postgresql://me@db/runs"),
    ],
)
def test_an_address_is_shown_without_its_password(address: str, shown: str, driver: None) -> None:
    check_address(address)
    store = store_of(Path("runs"), address)
    assert masked(address) == store.shown == shown and "secret" not in repr(store)
    check_address(shown)


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("mysql://me:secret@db/runs", "store mysql://...: expected postgresql://USER@HOST:PORT/DATABASE"),
        ("sqlite:///secret.db", "store sqlite://...: expected postgresql://"),
        ("me:secret@db/runs", "store ://...: expected postgresql://"),
        ("postgresql:secret", "expected postgresql://"),
        ("postgresql://me:sec@ret@db/runs", "@ : / ? # in a password are %40 %3A %2F %3F %23"),
        ("postgresql://me:sec/ret@db/runs", "in a password are"),
        ("postgresql://me:secret", "in a password are"),
    ],
)
def test_another_address_is_refused_in_a_line_that_gives_nothing_away(address: str, said: str, driver: None) -> None:
    with pytest.raises(Refused) as refused:
        check_address(address)
    text = str(refused.value)
    assert said in text and "\n" not in text and "sec" not in text


def test_without_a_driver_its_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(Refused, match="driver psycopg is missing; it is the extra `cluster`"):
        check_address("postgresql://db/runs")


def test_the_store_is_a_file_unless_a_database_is_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, driver: None
) -> None:
    monkeypatch.delenv(STORE_VARIABLE, raising=False)
    assert store_of(tmp_path) == FileStore(tmp_path) and not store_of(tmp_path).exists()
    assert store_of(tmp_path).shown == str(tmp_path / "optuna.db") and not store_of(tmp_path).shared
    monkeypatch.setenv(STORE_VARIABLE, " postgresql://db/runs ")
    assert given_store() == "postgresql://db/runs"
    assert store_of(tmp_path) == ServerStore(tmp_path, "postgresql://db/runs") and store_of(tmp_path).shared
    assert store_of(tmp_path, "") == FileStore(tmp_path)


def test_a_file_on_a_network_file_system_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stores, "file_system", lambda folder: "nfs4")
    with pytest.raises(Refused, match="set WORKBENCH_HOME to a folder on a local disk, or WORKBENCH_STORE to a"):
        FileStore(tmp_path).open()


def test_a_folder_keeps_its_word(tmp_path: Path) -> None:
    first = folder_id(tmp_path)
    assert folder_id(tmp_path) == first and first.endswith(f" {socket.gethostname()}:{tmp_path}")
    (tmp_path / "other").mkdir()
    assert folder_id(tmp_path / "other").split()[0] != first.split()[0]


# A file that can not be used


def spoilt(path: Path, kind: str) -> None:
    if kind == "a folder":
        path.unlink()
        path.mkdir()
    elif kind == "another program's tables":
        path.unlink()
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("create table version_info (version_info_id integer primary key, schema_version int)")
            connection.execute("insert into version_info values (1, 99)")
            connection.commit()
    else:
        path.write_bytes({"text": b"no database" * 1000, "cut off": path.read_bytes()[:3000]}[kind])


@pytest.mark.parametrize("kind", ["text", "cut off", "a folder", "another program's tables"])
def test_a_file_that_is_no_queue_is_refused_in_a_line(kind: str, tmp_path: Path) -> None:
    store = FileStore(tmp_path)
    store.open().engine.dispose()
    for beside in tmp_path.glob("optuna.db-*"):
        beside.unlink()
    spoilt(tmp_path / "optuna.db", kind)
    with pytest.raises(Refused, match=r"optuna\.db can not be used \(.*\); move it away: .* found in jobs/") as refused:
        storage = store.open()
        storage.get_all_studies()
    assert "\n" not in str(refused.value)
    (tmp_path / "optuna.db").rename(tmp_path / "away")
    assert store.open().get_all_studies() == []


def test_a_file_that_another_process_holds_is_refused_within_seconds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stores, "HELD", 0.2)
    store = FileStore(tmp_path)
    store.open()
    with closing(sqlite3.connect(tmp_path / "optuna.db", isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(
            Refused, match=r"optuna\.db is held by another process \(database is locked\); end that, or"
        ):
            store.open()
    store.open()


# A database


def test_a_server_that_can_not_be_reached_is_one_line(tmp_path: Path) -> None:
    pytest.importorskip("psycopg")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(Refused) as refused:
        store_of(tmp_path, f"postgresql://me:secret@127.0.0.1:{port}/runs").open()
    text = str(refused.value)
    assert f"store postgresql://me@127.0.0.1:{port}/runs: " in text and "refused" in text
    assert "\n" not in text and "secret" not in text


def test_a_wrong_password_is_one_line(tmp_path: Path, postgres: Server) -> None:
    with pytest.raises(Refused, match='password authentication failed for user "workbench"') as refused:
        store_of(tmp_path, postgres.address().replace(PASSWORD, "another-w0rd")).exists()
    assert "\n" not in str(refused.value) and "another" not in str(refused.value)


def test_all_who_open_an_empty_database_at_once_find_its_tables(tmp_path: Path, database: str) -> None:
    store = store_of(tmp_path)
    assert not store.exists()
    names: list[list[str]] = []

    def look() -> None:
        storage = store.open()
        names.append([one.study_name for one in storage.get_all_studies()])
        storage.engine.dispose()

    threads = [threading.Thread(target=look) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert names == [[]] * 4 and store.exists()
    assert PASSWORD not in store.open().url


def hold(store: ServerStore, held: Path) -> None:
    with store.locked("plan.lock"):
        held.touch()
        time.sleep(600)


@forked
def test_a_lock_holds_until_its_holder_dies(tmp_path: Path, database: str) -> None:
    store, held = ServerStore(tmp_path, database), tmp_path / "held"
    process = multiprocessing.get_context("fork").Process(target=hold, args=(store, held))
    process.start()
    while not held.exists():
        time.sleep(0.01)
    entered = threading.Event()

    def enter() -> None:
        with ServerStore(tmp_path / "elsewhere", database).locked("plan.lock"):
            entered.set()

    thread = threading.Thread(target=enter)
    thread.start()
    with store.locked("another.lock"):
        assert not entered.wait(0.5)
    assert process.pid is not None
    os.kill(process.pid, signal.SIGKILL)
    assert entered.wait(10)
    thread.join()
    process.join()


def test_a_server_that_was_there_may_be_away_for_a_while(tmp_path: Path, database: str, postgres: Server) -> None:
    store = store_of(tmp_path)
    storage = store.open()
    postgres.stop()
    back = threading.Timer(0.5, postgres.start)
    back.start()
    try:
        with store.locked("plan.lock"):
            assert storage.get_all_studies() == []
    finally:
        back.join()


def test_a_server_that_stays_away_ends_the_command(
    tmp_path: Path,
    database: str,
    postgres: Server,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(stores, "OUTAGE", 0.1)
    store = store_of(tmp_path)
    storage = store.open()
    postgres.stop()
    try:
        storage.record_heartbeat(0)  # is silent, so that the job goes on
        with pytest.raises(Refused, match="refused"):
            storage.get_all_studies()
    finally:
        postgres.start()


def test_a_transaction_that_is_told_at_once_that_the_file_is_locked_is_asked_again() -> None:
    """As SQLite does while another process closes the file, without waiting as long as it was told to."""
    told = [sqlite3.OperationalError("database is locked"), sqlite3.OperationalError("database is locked")]
    begun: list[int] = []

    def begin() -> None:
        if told:
            raise told.pop()
        begun.append(1)

    stores.patiently(begin, 5.0)
    assert begun == [1]
    for fault, seconds in (("database is locked", 0.0), ("disk I/O error", 5.0)):
        told.append(sqlite3.OperationalError(fault))
        with pytest.raises(sqlite3.OperationalError, match=fault):
            stores.patiently(begin, seconds)
    assert begun == [1]


def test_a_step_is_done_again_whose_server_went_away_in_the_middle_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """No other error is."""
    psycopg = pytest.importorskip("psycopg")
    monkeypatch.setattr(time, "sleep", lambda _: None)
    away = [psycopg.errors.AdminShutdown("terminating connection"), psycopg.OperationalError("consuming input failed")]
    told, left = list[str](), list[Exception]()

    def step() -> str:
        told.append("asked")
        if left:
            raise RuntimeError("of the commit") from left.pop()
        return "done"

    for error in away:
        left.append(error)
        assert outlasting(step) == "done"
    assert len(told) == 4
    for error in (psycopg.errors.DeadlockDetected("two"), ValueError("a mistake")):
        left.append(error)
        with pytest.raises(RuntimeError):
            outlasting(step)
    monkeypatch.setattr(stores, "OUTAGE", -1.0)
    left.append(away[0])
    with pytest.raises(RuntimeError):
        outlasting(step)
