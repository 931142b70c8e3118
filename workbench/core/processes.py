"""Where worker processes come from: a server that has the imports done and forks itself.

A fork of the command itself would take its threads' locks and its GPU along. The imports take seconds; started first
thing, the server does them while the command does its own.
"""

from __future__ import annotations

import multiprocessing
import os
from multiprocessing import forkserver
from typing import Any

START = "forkserver" if "forkserver" in multiprocessing.get_all_start_methods() else "spawn"  # Windows has none
ONE_THREAD = {name: "1" for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")}


def context() -> Any:
    """Makes processes with one thread each, once `prepare` has been called."""
    return multiprocessing.get_context(START)


def prepare() -> None:
    """Starts the server, unless it runs.

    Called before torch is imported, it leaves this process with one thread, too: on a machine that its workers keep
    busy, a second thread costs many times what it gives.
    """
    os.environ.update(ONE_THREAD)  # the server has what is set here, and so has everything that it forks
    if START == "forkserver":
        context().set_forkserver_preload(["workbench.experiments.runner"])
        forkserver.ensure_running()
