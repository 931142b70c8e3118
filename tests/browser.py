"""A real browser, for the soak tests that look at pages as a person does, and the commands that serve them.

Needs Chromium. `WORKBENCH_CHROMIUM` names it, and then it must be there; without one anywhere the tests are skipped.
Screenshots stay in `WORKBENCH_SCREENSHOTS` where that is set.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

BROWSER = os.environ.get("WORKBENCH_CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
IN_A_BROWSER = [
    pytest.mark.skipif(BROWSER is None, reason="no Chromium: install it, or name one with WORKBENCH_CHROMIUM"),
    pytest.mark.timeout(600),
]
ALONE = [  # and asks nothing of the network
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@contextmanager
def opened_page() -> Iterator[Any]:
    """An empty page."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=BROWSER, args=ALONE)
        page = browser.new_page(viewport={"width": 1600, "height": 1000})
        page.set_default_timeout(120_000)
        yield page
        browser.close()


@contextmanager
def serving(command: str, home: Path, answers: str) -> Iterator[int]:
    """`workbench COMMAND` at a free port, which it gives; what it prints goes to `HOME/COMMAND.log`.

    Args:
        answers: a path that the server answers to as soon as it is up.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    words = [sys.executable, "-m", "workbench", command, "--port", str(port)]
    with (home / f"{command}.log").open("w") as log:
        environment = {**os.environ, "WORKBENCH_HOME": str(home)}
        server = subprocess.Popen(words, env=environment, stdout=log, stderr=log, start_new_session=True)
    try:
        _wait(f"http://127.0.0.1:{port}/{answers}", server)
        yield port
    finally:
        os.killpg(server.pid, signal.SIGINT)  # what Ctrl+C does: the server and its own processes
        server.wait(60)


def _wait(address: str, server: subprocess.Popen[bytes]) -> None:
    while True:
        try:
            urllib.request.urlopen(address, timeout=60)
            return
        except OSError:
            assert server.poll() is None, "the server ended"
            with suppress(subprocess.TimeoutExpired):
                server.wait(0.5)


def keep(page: Any, name: str) -> None:
    """A screenshot, where they are wanted."""
    folder = os.environ.get("WORKBENCH_SCREENSHOTS")
    if folder:
        page.screenshot(path=Path(folder) / f"{name}.png")
