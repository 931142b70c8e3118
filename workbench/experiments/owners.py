"""Owners: which process is at work on a job, and whether it still is. Of this machine the system knows that."""

from __future__ import annotations

import os
import socket

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
    process = psutil.Process()
    return f"{this_host()} {process.pid} {process.create_time():.2f}"


def local_pid(owner: str) -> int | None:
    """The number of a process on this host; None: it is on another one."""
    host, pid, _ = owner.rsplit(" ", 2)
    return int(pid) if host == this_host() else None


def alive(owner: str) -> bool:
    """Whether a process still is. Of other hosts only the heartbeat knows."""
    if (pid := local_pid(owner)) is None:
        return True
    try:
        process = psutil.Process(pid)
        born = float(owner.rsplit(" ", 1)[1])
        return abs(process.create_time() - born) < 1 and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
