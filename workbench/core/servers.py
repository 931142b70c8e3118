"""A server of another program, which ends with the command that started it, however that went.

A process that is killed can tell its children nothing. So a second one stands between: it holds the reading end of a
pipe, which ends with the command, and then ends the server with all that the server has started.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress

from workbench.core.errors import Refused
from workbench.core.processes import interruptible

HOST = "127.0.0.1"  # nobody on another machine can see it
PATIENCE = 5.0  # seconds that a server has to end before it is killed


def check_port(port: int) -> None:
    """Refuses a port that another program has.

    Raises:
        Refused: the message names it.
    """
    with socket.socket() as tried:
        if os.name == "posix":  # connections of a server that has just ended do not count
            tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            tried.bind((HOST, port))
        except OSError as error:
            raise Refused(f"--port {port}: {error.strerror}; give another") from None


def run_server(words: Sequence[str], environment: Mapping[str, str]) -> int:
    """Runs a server until it ends or this process is interrupted, asked to end or killed. Gives its exit code."""
    keeper = [sys.executable, "-P", "-m", __name__, *words]
    path = os.pathsep.join(filter(None, sys.path))  # this package may not be installed
    started = subprocess.Popen(
        keeper, stdin=subprocess.PIPE, env={**environment, "PYTHONPATH": path}, start_new_session=True
    )
    assert started.stdin is not None
    try:
        with interruptible():
            return started.wait()
    finally:
        started.stdin.close()  # which is what ends the server
        started.wait()


def _keep(words: Sequence[str]) -> int:
    server = subprocess.Popen(words, stdin=subprocess.DEVNULL)
    asked = threading.Event()

    def end_with_input() -> None:
        os.read(sys.stdin.fileno(), 1)  # nothing ever comes: it returns when the command is gone
        asked.set()
        end_tree(server.pid)

    ending = threading.Thread(target=end_with_input, daemon=True)
    ending.start()
    code = server.wait()
    if asked.is_set():  # what the server has started may take longer to end than the server
        ending.join()
    return code


def end_tree(process: int) -> None:
    """Ends a process and all that it has started: asks first, then kills."""
    import psutil  # the command itself does not need it

    try:
        first = psutil.Process(process)
        tree = [*first.children(recursive=True), first]
    except psutil.NoSuchProcess:
        return
    for one in tree:
        with suppress(psutil.NoSuchProcess):
            one.terminate()
    for one in psutil.wait_procs(tree, PATIENCE)[1]:
        with suppress(psutil.NoSuchProcess):
            one.kill()


if __name__ == "__main__":
    sys.exit(_keep(sys.argv[1:]))
