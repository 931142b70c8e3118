"""Faults of the machine, in one line: a disk that is full, a folder that can not be written, a database that is spoilt.

They are nobody's mistake and no error of the code: the line names the file, says what is wrong, and what to do.
"""

from __future__ import annotations

import errno
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from workbench.core.home import runs_folder

FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
# Of a path: what is there is of another kind, or may not be touched.
_OF_A_PATH = {errno.EACCES, errno.EPERM, errno.EROFS, errno.EISDIR, errno.ENOTDIR, errno.EEXIST, errno.ELOOP}
OF_THE_MACHINE = FULL | _OF_A_PATH | {errno.EIO, errno.EMFILE, errno.ENFILE, errno.ESTALE, errno.ENAMETOOLONG}
QUEUE_FILE, RECORD_FILE = "optuna.db", "mlflow.db"
KEPT = {
    QUEUE_FILE: "it only says which jobs wait, complete ones are found in jobs/",
    RECORD_FILE: "the next command records anew what is complete",
}


def machine_fault(error: BaseException) -> str | None:
    """What to say of an error that the machine, and not the code, is to blame for; None of all others."""
    chain = list(causes(error))
    for one in chain:
        if isinstance(one, OSError) and one.errno in OF_THE_MACHINE and one.filename is not None:
            return f"{one.filename}: {one.strerror}; " + _advice(one.errno)
    for one in chain:
        if isinstance(one, sqlite3.Error):
            ours = any(type(other).__module__.startswith("optuna") for other in chain)
            return database_fault(runs_folder(False) / (QUEUE_FILE if ours else RECORD_FILE), one)
    return None


def database_fault(path: Path, error: Exception) -> str:
    """The same of a SQLite file that could not be used."""
    said = str(error)
    if "locked" in said:
        return f"{path} is held by another process ({said}); end that, or wait, and run the same command again"
    if "full" in said or "readonly" in said:
        return f"{path} can not be written ({said}); make room, or let it be written, and run the same command again"
    return f"{path} can not be used ({said}); move it away: {KEPT.get(path.name, 'it is made anew')}"


def of_the_machine(error: BaseException) -> bool:
    """Whether a job that ended so says nothing of itself: another time, or elsewhere, it may go well."""
    return any(isinstance(one, OSError) and one.errno in OF_THE_MACHINE for one in causes(error))


def _advice(number: int | None) -> str:
    if number in FULL:
        return "make room there and run the same command again: what is complete is kept"
    return "put that right and run the same command again: what is complete is kept"


def causes(error: BaseException | None) -> Iterator[BaseException]:
    """An error and what led to it."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__
