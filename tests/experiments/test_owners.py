"""Owners: which process works on a job, and whether it still is."""

import os
import time
from pathlib import Path

import psutil
import pytest

from workbench.experiments import owners


def test_a_dead_owner_is_seen_and_a_living_one() -> None:
    me = owners.owner_id()
    assert owners.alive(me)
    host, pid, born = me.rsplit(" ", 2)
    assert not owners.alive(f"{host} {pid} {float(born) - 100:.2f}")  # the number was given away again
    assert owners.alive(f"elsewhere {pid} {born}")  # only the heartbeat knows
    assert owners.local_pid(me) == int(pid) and owners.local_pid(f"elsewhere {pid} {born}") is None


@pytest.mark.skipif(not Path("/proc/self/ns/pid").exists(), reason="Linux tells containers apart")
def test_a_container_is_another_host(monkeypatch: pytest.MonkeyPatch) -> None:
    """It may have the name of the machine, and the numbers of its processes are others."""
    me, stat = owners.owner_id(), os.stat
    monkeypatch.setattr(os, "stat", lambda path: stat("/" if str(path).startswith("/proc/self/ns") else path))
    assert owners.local_pid(me) is None


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="Linux counts from the start of the machine")
@pytest.mark.parametrize("seconds", [-3600.0, 5.0, 1e6])
def test_a_clock_that_jumps_kills_nobody(seconds: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """psutil's start of a process follows the clock, by way of the start of the machine."""
    me, boot, now = owners.owner_id(), psutil.boot_time(), time.time
    monkeypatch.setattr(psutil, "boot_time", lambda: boot + seconds)
    monkeypatch.setattr(psutil._pslinux, "boot_time", lambda: boot + seconds)  # pyright: ignore
    monkeypatch.setattr(time, "time", lambda: now() + seconds)
    assert owners.alive(me) and owners.owner_id() == me
