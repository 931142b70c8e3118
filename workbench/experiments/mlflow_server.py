"""MLflow's server, which shows its pages in a browser on this machine as long as the command runs."""

from __future__ import annotations

import os
import socket
import sys
from pathlib import Path

from workbench.core import leash
from workbench.core.errors import Refused
from workbench.experiments.mlflow_pages import renew_views, runs_page
from workbench.experiments.tracking import QUIET, store_address

HOST = "127.0.0.1"


def ui(home: Path, port: int) -> int:
    """Shows the record in a browser, on this machine only, until interrupted. Gives the server's exit code.

    Raises:
        Refused: another program has the port, or the record can not be read.
    """
    check_port(port)
    renew_views(home)
    print(f"{runs_page(home, port)} shows the runs; Ctrl+C ends it", flush=True)
    # One worker and no job runner: 2 processes and 0.5 GB instead of 15 and 1.9.
    server = [sys.executable, "-m", "mlflow", "server", "--host", HOST, "--port", str(port), "--workers", "1"]
    process = leash.on_leash([*server, "--backend-store-uri", store_address(home)], {**os.environ, **QUIET})
    try:
        return process.wait()
    finally:
        leash.end(process)


def check_port(port: int) -> None:
    """
    Raises:
        Refused: another program has the port, or it is not for everybody.
    """
    with socket.socket() as one:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # one that was left a moment ago is free
        try:
            one.bind((HOST, port))
        except OSError as error:
            raise Refused(f"--port {port}: {error.strerror}; end the program that has it, or give another") from None
