"""Files that several processes share: locks, files that are written whole or not at all, and files made only once."""

from __future__ import annotations

import errno
import os
import secrets
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from glob import escape
from pathlib import Path

from workbench.core.errors import Refused

NETWORK = {"nfs", "nfs4", "cifs", "smbfs", "smb3", "afs", "ncpfs", "9p", "lustre", "ceph", "glusterfs", "beegfs"}
OF_WRITING = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EROFS, errno.EACCES}

if sys.platform == "win32":
    import msvcrt

    def _acquire(file: int) -> None:
        while True:
            with suppress(OSError):  # it gives up after ten seconds
                return msvcrt.locking(file, msvcrt.LK_LOCK, 1)

    def _release(file: int) -> None:
        msvcrt.locking(file, msvcrt.LK_UNLCK, 1)

else:
    import fcntl

    def _acquire(file: int) -> None:
        fcntl.flock(file, fcntl.LOCK_EX)

    def _release(file: int) -> None:
        fcntl.flock(file, fcntl.LOCK_UN)  # closing alone would leave it to a child process that has the file open, too


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Waits for the lock on a file and holds it. The file is made where there is none.

    The system frees the lock of a process that dies.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        _acquire(file.fileno())
        try:
            yield
        finally:
            _release(file.fileno())


@contextmanager
def locked_folder(folder: Path) -> Iterator[None]:
    """Holds the lock of a folder that one process at a time writes to, `folder/lock`.

    Whoever holds it removes what a killed process has left half written there.
    """
    with locked(folder / "lock"):
        remove_parts(folder)
        yield


@contextmanager
def write_whole(path: Path, durable: bool = True) -> Iterator[Path]:
    """Gives a path beside `path` to write a file or a folder to. It becomes `path` when the block ends without error.

    Readers see the old file or the new one, never a part of it. A process that is killed leaves its part behind; see
    `remove_parts`. Who may read the file follows from the umask, unless the writer sets it: safetensors' `save_file`
    does, so its `save` is to be used.

    Args:
        durable: the content is on the disk before the name is, so that a power failure leaves no empty file. False for
            what is written every second and is worth nothing afterwards.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.{os.getpid()}.{secrets.token_hex(4)}.part")
    try:
        yield part
        if durable:
            _flush(part)
        os.replace(part, path)
    except OSError as error:
        if error.filename in (None, str(part)) and error.errno in OF_WRITING:  # which file it was, and not which part
            raise OSError(error.errno, error.strerror, str(path)) from error
        raise
    finally:
        _remove(part)


def remove_parts(folder: Path, name: str = "") -> None:
    """Removes what killed processes have left half written of the file `name` in a folder, of all files for "".

    Call it under a lock that every writer of these files holds.
    """
    for part in folder.glob(f"{escape(name) or '*'}.*.part"):
        _remove(part)


def make_once(path: Path, make: Callable[[Path], object], whole: Callable[[Path], bool] = Path.exists) -> None:
    """Makes a file or a folder unless it is there: `make(part)` writes it to the path that it is given.

    Of several processes that ask at once, one makes it and the others wait. It appears whole or not at all.

    Args:
        whole: whether what is there is as it was made; else it is said, and made again.
    """
    if path.exists() and whole(path):
        return
    with locked(path.with_name(f"{path.name}.lock")):
        remove_parts(path.parent, path.name)
        if path.exists() and not whole(path):
            print(f"{path} is damaged; it is made again", file=sys.stderr, flush=True)
            _remove(path)
        if not path.exists():
            with write_whole(path) as part:
                make(part)


def check_writable(folder: Path) -> None:
    """Refuses a folder that can not be written, before anything is computed for it; it may still have to be made.

    Raises:
        Refused: the folder, or the one that it would lie in, is read-only.
    """
    there = next(one for one in (folder, *folder.resolve().parents) if one.exists())
    if not there.is_dir():
        raise Refused(f"{there} is no folder; {folder} is to be one")
    if not os.access(there, os.W_OK | os.X_OK):
        raise Refused(f"{there} can not be written (a file system that is read-only, or others' folder)")


def check_space(folder: Path, least: int) -> None:
    """
    Raises:
        Refused: fewer than `least` bytes are free where the folder lies, or it is on no disk at all.
    """
    found = shutil.disk_usage(folder)
    if found.total == 0:  # of /sys and /proc
        raise Refused(f"{folder} can not be written (no disk holds it); name a folder on a disk")
    free = found.free
    if free < least:
        raise Refused(f"disk full: {folder} has {free / 1e6:.0f} MB left; make room for at least {least / 1e6:.0f} MB")


def file_system(folder: Path) -> str:
    """Type of the file system that holds a folder; those in `NETWORK` lose what SQLite locks."""
    import psutil  # few need it

    folder = folder.resolve()
    mounts = [p for p in psutil.disk_partitions(all=True) if folder.is_relative_to(p.mountpoint)]
    return max(mounts, key=lambda p: len(p.mountpoint)).fstype.lower() if mounts else ""


def _flush(path: Path) -> None:
    for file in path.rglob("*") if path.is_dir() else [path]:
        if file.is_file():
            with file.open("rb+") as opened:
                os.fsync(opened.fileno())


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
