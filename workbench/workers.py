"""Where worker processes come from: a server that has the imports done and forks itself.

A fork of the command itself would take its threads' locks and its GPU along. The imports take seconds; started first
thing, the server does them while the command does its own.
"""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from multiprocessing import forkserver
from typing import Any

START = "forkserver"
ONE_THREAD = {name: "1" for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")}


def context() -> Any:
    """Makes processes with one thread each, once `prepare` has been called."""
    return multiprocessing.get_context(START)


def prepare() -> None:
    """Starts the server, unless it runs. What it forks is as it was then, so its environment is set here."""
    if START == "forkserver":
        context().set_forkserver_preload(["workbench.search"])
        with environment(ONE_THREAD):
            forkserver.ensure_running()


@contextmanager
def environment(variables: Mapping[str, str]) -> Iterator[None]:
    """These variables for the time being."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
