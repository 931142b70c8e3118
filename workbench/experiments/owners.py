"""Owners: which process is at work on a job, and whether it still is. Of this machine the system knows that."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import psutil


def this_host() -> str:
    """The machine and, on it, the container: process numbers of another one mean other processes."""
    try:
        inside = f"/{os.stat('/proc/self/ns/pid').st_ino}"
    except OSError:  # not Linux
        inside = ""
    return f"{socket.gethostname()}{inside}"


def owner_id() -> str:
    """Host, process and its start: a number that the system gives away again is not mistaken for its last bearer."""
    return f"{this_host()} {os.getpid()} {_born(os.getpid())}"


def _born(pid: int) -> str:
    """When a process started, by what no change of the clock moves: ticks since the machine did.

    Raises:
        psutil.NoSuchProcess: there is none.
    """
    try:
        return Path(f"/proc/{pid}/stat").read_text("utf-8", "replace").rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return f"{psutil.Process(pid).create_time():.2f}"  # not Linux


def local_pid(owner: str) -> int | None:
    """The number of a process on this host; None: it is on another one."""
    host, pid, _ = owner.rsplit(" ", 2)
    return int(pid) if host == this_host() else None


def alive(owner: str) -> bool:
    """Whether a process still is. Of other hosts only the heartbeat knows."""
    if (pid := local_pid(owner)) is None:
        return True
    try:
        return _born(pid) == owner.rsplit(" ", 1)[1] and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
