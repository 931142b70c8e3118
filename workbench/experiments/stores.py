"""Stores: where the trials of queues and searches lie, and the locks of all who share them.

By default that is a SQLite file in the folder of the runs, for one machine. `WORKBENCH_STORE`, which `--store` sets,
names a PostgreSQL database that many machines share. What is locked there is locked for all of them: the server frees
the locks of a process that dies at once, and those of a machine that is cut off after a minute and a half.

HOME/optuna.db       the SQLite file; its locks are files beside it
HOME/folder_id       by which machines that share a database know that they see the same folder
"""

from __future__ import annotations

import hashlib
import os
import re
import secrets
import socket
import sqlite3
import sys
import time
import warnings
import weakref
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, final

from workbench.core.errors import Refused, one_line
from workbench.core.faults import QUEUE_FILE, causes, database_fault
from workbench.core.files import NETWORK, file_system, locked, write_whole

if TYPE_CHECKING:
    import psycopg
    from optuna.storages import RDBStorage

_T = TypeVar("_T")
STORE_VARIABLE = "WORKBENCH_STORE"
EXPECTED_STORE = "postgresql://USER@HOST:PORT/DATABASE"
HEARTBEAT = 60  # seconds; silence of four of them ends a trial whose owner can not be seen from here
WRITES = 60.0  # seconds that a step of the queue waits for those of other processes
HELD = 15.0  # seconds until a file that another process holds is given up; a write of ours takes milliseconds
OUTAGE = 300.0  # seconds that a server which was there before may be away: jobs go on meanwhile
SCHEMA_LOCK = "schema.lock"  # of several who make tables at once all but one would fail
_AWAY = ("57P01", "57P02", "57P03", "08")  # how SQLSTATE begins where a server ends, or is not ready yet
_HOST = r"(?:[\w.%-]*|\[[\da-fA-F:.]+\])(?::\d+)?"
_ADDRESS = re.compile(
    r"(postgres(?:ql)?://)(?:([^:@/?#\s]+)(?::[^:@/?#\s]*)?@)?"  # scheme, user
    rf"({_HOST}(?:,{_HOST})*(?:/[^@?#\s]*)?)(?:\?([^#\s]*))?"  # hosts and database, parameters
)
# Sent with each connection: times that do not depend on where the server stands, and how long it waits for a machine
# that says nothing.
_SESSION = "-c TimeZone=UTC -c tcp_keepalives_idle=30 -c tcp_keepalives_interval=10 -c tcp_keepalives_count=6"
_CONNECTION = {
    "connect_timeout": 10,
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 6,
    "application_name": "workbench",
    "client_encoding": "UTF8",  # or text of a database in SQL_ASCII would be bytes
}


class Store(ABC):
    """Where trials lie. `shared`: by machines that see the same folder of runs, but not each other's processes."""

    shared: bool
    home: Path

    @property
    @abstractmethod
    def shown(self) -> str:
        """Its address, without a password."""

    @abstractmethod
    def exists(self) -> bool:
        """Whether anything was ever stored; makes nothing.

        Raises:
            Refused: it can not be reached.
        """

    @abstractmethod
    def open(self, heartbeat: bool = True, begun: bool = False) -> RDBStorage:
        """The storage for Optuna, with its tables.

        Args:
            heartbeat: trials are processes that say that they live.
            begun: another process of this command has opened it: its tables are there, and are as they should be. To
                look takes a quarter of a second.

        Raises:
            Refused: it can not be reached, or not be used where it lies.
        """

    @abstractmethod
    def locked(self, name: str) -> AbstractContextManager[None]:
        """Waits for a lock and holds it. It is free again when its holder dies.

        Args:
            name: a path in the folder of runs, as in `plan.lock`.
        """


def given_store() -> str:
    """The address that the user gave; "" is the file in the folder of runs."""
    return os.environ.get(STORE_VARIABLE, "").strip()


def store_of(home: Path, address: str | None = None) -> Store:
    """The store of a folder of runs.

    Args:
        address: None is the one that the user gave.

    Raises:
        Refused: no address that we know.
    """
    address = given_store() if address is None else address
    if not address:
        return FileStore(home)
    check_address(address)
    return ServerStore(home, address)


def check_address(address: str) -> None:
    """Refuses an address that can not be used, without asking the server.

    Raises:
        Refused: another scheme, a password with characters that have a meaning in addresses, or no driver.
    """
    scheme, colon, _ = address.partition("://")
    given = f"store {scheme if colon else ''}://...:"  # no more of it: who knows where its password begins
    if scheme not in ("postgresql", "postgres"):
        raise Refused(f"{given} expected {EXPECTED_STORE}, or nothing for a file in the folder of runs")
    if not _ADDRESS.fullmatch(address):
        raise Refused(f"{given} expected {EXPECTED_STORE}; @ : / ? # in a password are %40 %3A %2F %3F %23")
    try:
        import psycopg as psycopg
    except ImportError:
        raise Refused(
            f"{given} its driver psycopg is missing; it is the extra `cluster`: pip install 'rtmo-workbench[cluster]'"
        ) from None


def masked(address: str) -> str:
    """A PostgreSQL address without its password, and so still an address."""
    found = _ADDRESS.fullmatch(address)
    assert found is not None, "it was checked"
    scheme, user, where, parameters = (part or "" for part in found.groups())
    kept = [one for one in parameters.split("&") if one and "password" not in one.partition("=")[0]]
    return scheme + f"{user}@" * bool(user) + where + f"?{'&'.join(kept)}" * bool(kept)


def folder_id(home: Path) -> str:
    """A word that tells one folder of runs from all others, and where the folder was when it got the word.

    Call it under a lock of the store.
    """
    path = home / "folder_id"
    if not path.exists():
        with write_whole(path) as part:
            part.write_text(f"{secrets.token_hex(8)} {socket.gethostname()}:{home}", "utf-8")
    return path.read_text("utf-8")


# ---------------------------------------------------------------------------------------------------- a file


@final
@dataclass(frozen=True)
class FileStore(Store):
    """SQLite with a write-ahead log: eight writers without a lock error, 11 ms a trial."""

    home: Path
    shared = False

    @property
    def shown(self) -> str:
        return str(self._path)

    @property
    def _path(self) -> Path:
        return self.home / QUEUE_FILE

    def exists(self) -> bool:
        return self._path.exists()

    def open(self, heartbeat: bool = True, begun: bool = False) -> RDBStorage:
        """See `Store`. Refused on a network file system, where SQLite's locks do not hold."""
        from optuna.exceptions import StorageInternalError
        from sqlalchemy import event
        from sqlalchemy.exc import SQLAlchemyError

        if (kind := file_system(self.home)) in NETWORK:
            raise Refused(
                f"WORKBENCH_HOME {self.home} is on {kind}, a network file system, where SQLite loses data: "
                f"set WORKBENCH_HOME to a folder on a local disk, or {STORE_VARIABLE} to a database server"
            )
        engine = {"connect_args": {"timeout": WRITES}}
        with nullcontext() if begun else self.locked(SCHEMA_LOCK):
            check_database(self._path)
            try:
                if not begun:
                    with closing(sqlite3.connect(self._path, timeout=WRITES)) as connection:
                        connection.execute("PRAGMA journal_mode=WAL")  # a property of the file
                storage = _storage(f"sqlite:///{self._path}", heartbeat, begun, engine)
            except (sqlite3.Error, SQLAlchemyError, StorageInternalError, RuntimeError) as error:
                # RuntimeError: tables of another version of Optuna
                raise Refused(database_fault(self._path, RuntimeError(one_line(error)))) from error
        event.listen(storage.engine, "connect", _connected)
        event.listen(storage.engine, "begin", _begin)
        storage.engine.dispose()  # connections from before the listener
        return storage

    def locked(self, name: str) -> AbstractContextManager[None]:
        return locked(self.home / name)


def check_database(path: Path) -> None:
    """Refuses a SQLite file that can not be used, within seconds; one that is not there is made by who opens it.

    Raises:
        Refused: it is none, can not be read or written, or another process holds it.
    """
    if not path.exists():
        return
    try:
        if not path.is_file():
            raise sqlite3.OperationalError("no file")
        with closing(sqlite3.connect(path, timeout=HELD, isolation_level=None)) as connection:
            patiently(lambda: connection.execute("BEGIN IMMEDIATE"), HELD)
            connection.execute("select count(*) from sqlite_master").fetchone()
            connection.execute("ROLLBACK")
    except sqlite3.Error as error:
        raise Refused(database_fault(path, error)) from error


def _connected(connection: Any, _: Any) -> None:
    connection.isolation_level = None  # transactions begin where `_begin` says so
    connection.execute("PRAGMA synchronous=NORMAL")  # a property of each connection


def _begin(connection: Any) -> None:
    """Reading and taking are one step: by default SQLite locks at the first write, after the read, and two workers
    that read at the same time both take the trial."""
    patiently(lambda: connection.exec_driver_sql("BEGIN IMMEDIATE"), WRITES)


def patiently(begin: Callable[[], object], seconds: float) -> None:
    """Begins a transaction as soon as the file is free.

    SQLite's own waiting does not cover all that is short: while another process closes the file as its last one, or
    puts it in order after a kill, it says at once that it is locked.
    """
    from sqlalchemy.exc import OperationalError

    end = time.monotonic() + seconds
    while True:
        try:
            begin()
            return
        except (sqlite3.OperationalError, OperationalError) as error:
            if "locked" not in str(error) or time.monotonic() > end:
                raise
            time.sleep(0.05)


# -------------------------------------------------------------------------------------------------- a server


@final
@dataclass(frozen=True)
class ServerStore(Store):
    """A PostgreSQL database. A worker that trains keeps two connections: its lock's, and one that tells that it lives.

    `address` is as libpq takes it: what it leaves out comes from PGPASSWORD, ~/.pgpass and the like.
    """

    home: Path
    address: str = field(repr=False)
    shared = True

    @property
    def shown(self) -> str:
        return masked(self.address)

    def exists(self) -> bool:
        with closing(self._connect(autocommit=True)) as connection:
            found = connection.execute("select to_regclass('studies')").fetchone()
        return found is not None and found[0] is not None

    def open(self, heartbeat: bool = True, begun: bool = False) -> RDBStorage:
        """See `Store`. The address stays here: neither Optuna nor what it prints knows a password."""
        pool = {"creator": self._connect, "pool_size": 1, "max_overflow": 1, "pool_pre_ping": True}
        with nullcontext() if begun else self.locked(SCHEMA_LOCK):
            storage = _storage("postgresql+psycopg://", heartbeat, begun, pool)
        weakref.finalize(storage, storage.engine.dispose)  # its connections end with it
        return storage

    @contextmanager
    def locked(self, name: str) -> Iterator[None]:
        with closing(self._lock(name)):  # the lock ends with its connection
            yield

    def _lock(self, name: str) -> psycopg.Connection[tuple[Any, ...]]:
        import psycopg

        digest = hashlib.sha256(name.encode()).digest()[:8]
        while True:
            connection = self._connect(autocommit=True)
            try:
                connection.execute("select pg_advisory_lock(%s)", (int.from_bytes(digest, signed=True),))
            except psycopg.OperationalError:  # the server went away while we waited
                connection.close()
            except BaseException:
                connection.close()
                raise
            else:
                return connection

    def _connect(self, *, autocommit: bool = False) -> psycopg.Connection[tuple[Any, ...]]:
        """A connection.

        Raises:
            Refused: the server can not be reached, or after it was, not for `OUTAGE` seconds.
        """
        import psycopg

        end = time.monotonic() + (OUTAGE if self.address in _REACHED else 0.0)
        while True:
            try:
                connection = psycopg.connect(self.address, options=_SESSION, autocommit=autocommit, **_CONNECTION)
            except psycopg.OperationalError as error:
                if time.monotonic() >= end:
                    raise Refused(f"store {self.shown}: {_said(error)}") from None
                time.sleep(1)
            except psycopg.Error:  # what libpq says of an address that it can not read may hold parts of it
                raise Refused(f"store {self.shown}: it can not be read; expected {EXPECTED_STORE}") from None
            else:
                _REACHED.add(self.address)
                return connection


def went_away(error: BaseException) -> bool:
    """Whether a database server went away in the middle of a step: what of it was done is not known."""
    if (driver := sys.modules.get("psycopg")) is None:
        return False
    lost: list[Any] = [one for one in causes(error) if isinstance(one, driver.OperationalError)]
    return any(one.sqlstate is None or one.sqlstate.startswith(_AWAY) for one in lost)


def outlasting(step: Callable[[], _T]) -> _T:
    """Does a step again whose server went away in the middle of it. It has to be one that may be done twice.

    A new connection waits by itself; this is for the moment in which the server goes.
    """
    end = time.monotonic() + OUTAGE
    while True:
        try:
            return step()
        except Exception as error:
            if not went_away(error) or time.monotonic() > end:
                raise
            time.sleep(1)


_REACHED = set[str]()  # addresses of servers that were there before


def _said(error: Exception) -> str:
    """Why there is no connection, in a line."""
    return one_line(error).partition(": ")[2] or "no connection"


# ---------------------------------------------------------------------------------------------------- Optuna


def _storage(address: str, heartbeat: bool, begun: bool, engine: dict[str, Any]) -> RDBStorage:
    import optuna
    from optuna.storages import RDBStorage

    class Patient(RDBStorage):
        def record_heartbeat(self, trial_id: int) -> None:
            """A server that is away hears the next one: the thread that tells must not end."""
            try:
                super().record_heartbeat(trial_id)
            except Exception:  # whatever it was, the job goes on
                self.engine.dispose()

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)  # of the heartbeat
        return Patient(
            address,
            engine_kwargs=engine,
            heartbeat_interval=HEARTBEAT if heartbeat else None,
            grace_period=4 * HEARTBEAT if heartbeat else None,
            skip_compatibility_check=begun,
            skip_table_creation=begun,
        )
