"""A server ends with the command that started it, whatever ends that."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from workbench.core.errors import Refused
from workbench.core.servers import HOST, check_port, end_tree, run_server

# It starts another process. Who is deaf does not hear that it is asked to end: both, or the one that it starts alone.
SERVER = """
import pathlib, signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_DFL if "hears" in sys.argv else signal.SIG_IGN)
inner = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
signal.signal(signal.SIGTERM, signal.SIG_IGN if "deaf" in sys.argv else signal.SIG_DFL)
pathlib.Path(sys.argv[1]).write_text(str(inner.pid))
time.sleep(600)
"""
COMMAND = """
import os, sys
from workbench.core.servers import run_server
try:
    sys.exit(run_server(sys.argv[1:], os.environ))
except KeyboardInterrupt:
    sys.exit(130)
"""


def _wait_for(path: Path, command: subprocess.Popen[bytes]) -> int:
    end = time.monotonic() + 60
    while not (path.exists() and path.read_text()):
        assert time.monotonic() < end and command.poll() is None
        time.sleep(0.05)
    return int(path.read_text())


@pytest.mark.parametrize(
    ("asked", "code", "ears"),
    [("SIGINT", 130, "hears"), ("SIGTERM", 130, "hears"), ("SIGKILL", -9, "deaf"), ("SIGKILL", -9, "deaf child")],
)
def test_it_ends_with_its_command(tmp_path: Path, asked: str, code: int, ears: str) -> None:
    words = [sys.executable, "-c", SERVER, str(tmp_path / "pid"), ears]
    command = subprocess.Popen([sys.executable, "-c", COMMAND, *words], start_new_session=True)
    inner = psutil.Process(_wait_for(tmp_path / "pid", command))
    tree = [inner, *inner.parents()[:2]]  # the server and what keeps it
    os.kill(command.pid, getattr(signal, asked))
    assert command.wait(60) == code
    assert psutil.wait_procs(tree, 60)[1] == []


def test_it_gives_the_exit_code_of_a_server_that_ends_by_itself() -> None:
    assert run_server([sys.executable, "-c", "raise SystemExit(7)"], os.environ) == 7


def test_a_port_that_another_program_has_is_refused() -> None:
    with socket.socket() as other:
        other.bind((HOST, 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(Refused, match=rf"--port {port}: Address already in use; give another"):
            check_port(port)
    check_port(port)


def test_a_process_that_is_gone_is_no_error() -> None:
    done = subprocess.Popen([sys.executable, "-c", ""])
    done.wait()
    end_tree(done.pid)
