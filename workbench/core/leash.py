"""A server on a leash: it ends with the command that started it, however that ends.

    process = on_leash([sys.executable, "-m", "http.server"])

Between the two is a process that holds one end of a pipe. Once the command is gone its end is closed by the system,
even after SIGKILL, and the server goes with all of its own processes.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress

PATIENCE = 5.0  # seconds in which a server that was asked to end does


def on_leash(command: Sequence[str], env: Mapping[str, str]) -> subprocess.Popen[bytes]:
    """Starts a command that ends when its standard input is closed."""
    return subprocess.Popen(
        [sys.executable, "-I", __file__, *command], stdin=subprocess.PIPE, env=env, start_new_session=True
    )


def end(process: subprocess.Popen[bytes]) -> int:
    """Ends what is on a leash, and gives its exit code."""
    assert process.stdin is not None
    process.stdin.close()
    return process.wait()


def _hold(command: Sequence[str]) -> int:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # of the group below, which is this one's as well
    server = subprocess.Popen(command, stdin=subprocess.DEVNULL)
    threading.Thread(target=_end_with, args=(server,), daemon=True).start()
    return server.wait()


def _end_with(server: subprocess.Popen[bytes]) -> None:
    """Waits for the end of the pipe. What was started here has its signals as they are by default."""
    while os.read(sys.stdin.fileno(), 1024):
        pass
    os.killpg(0, signal.SIGTERM)
    with suppress(subprocess.TimeoutExpired):
        server.wait(PATIENCE)
    os.killpg(0, signal.SIGKILL)


if __name__ == "__main__":
    sys.exit(_hold(sys.argv[1:]))
