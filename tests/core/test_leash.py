"""A server ends with the command that started it, however that ends."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time

import psutil
import pytest

from workbench.core import leash

# serves, with a child of its own that would go on alone
SERVER = """
import http.server, subprocess, sys
subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), http.server.BaseHTTPRequestHandler).serve_forever()
"""
COMMAND = """
import os, sys
from workbench.core import leash
process = leash.on_leash([sys.executable, "-c", sys.argv[1], sys.argv[2]], os.environ)
print(process.pid, flush=True)
process.wait()
"""


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def answers(port: int) -> bool:
    with socket.socket() as one:
        return one.connect_ex(("127.0.0.1", port)) == 0


def until(condition: object, seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not (condition() if callable(condition) else condition):
        assert time.monotonic() < end
        time.sleep(0.05)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_a_server_ends_with_its_command(number: signal.Signals) -> None:
    port = free_port()
    command = subprocess.Popen([sys.executable, "-c", COMMAND, SERVER, str(port)], stdout=subprocess.PIPE, text=True)
    assert command.stdout is not None
    holder = psutil.Process(int(command.stdout.readline()))
    until(lambda: answers(port) and len(holder.children(recursive=True)) == 2)
    its = holder.children(recursive=True)
    os.kill(command.pid, number)
    command.wait()
    command.stdout.close()
    until(lambda: not answers(port))
    psutil.wait_procs([holder, *its], 30)
    assert not any(one.is_running() and one.status() != psutil.STATUS_ZOMBIE for one in its)


def test_a_server_that_ends_gives_its_code() -> None:
    process = leash.on_leash([sys.executable, "-c", "raise SystemExit(7)"], os.environ)
    assert process.wait(60) == 7
    assert leash.end(process) == 7


def test_a_server_is_ended(capfd: pytest.CaptureFixture[str]) -> None:
    port = free_port()
    process = leash.on_leash([sys.executable, "-c", SERVER, str(port)], os.environ)
    until(lambda: answers(port))
    leash.end(process)
    assert not answers(port)
