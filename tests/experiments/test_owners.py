"""Owners: which process works on a job, and whether it still is."""

import os
from pathlib import Path

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
