"""How worker processes are started: a server process imports what they need once, and each worker is a fork of it.

A fork of the command itself would inherit the locks of its threads and its hold on a GPU. The imports take seconds, so
the command starts the server first of all: both import at the same time.
"""

from __future__ import annotations

import gc
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import forkserver
from typing import Any

START = "forkserver" if "forkserver" in multiprocessing.get_all_start_methods() else "spawn"  # Windows has none
PRELOADED = ["workbench.core.preloaded"]
SEARCHED_AFTER = 50_000  # new objects until Python looks for garbage among them: imports make many and leave none
ONE_THREAD = {name: "1" for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")}


def usable_cores() -> int:
    """Processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@dataclass(frozen=True)
class Share:
    """What one worker has of a machine. Empty: what its command has.

    Fields:
        cores: numbers of processor cores; gpu: as CUDA_VISIBLE_DEVICES names it.
    """

    cores: tuple[int, ...] = ()
    gpu: str = ""

    def take(self) -> None:
        """Keeps this process to its share. Call it before a GPU is touched."""
        if self.cores:
            os.sched_setaffinity(0, self.cores)
        if self.gpu:
            os.environ["CUDA_VISIBLE_DEVICES"] = self.gpu


def shares(cores: Sequence[int], gpus: Sequence[str], workers: int) -> list[Share]:
    """A machine shared out: one GPU each, and cores that no other worker has, as long as there are enough."""
    own = [tuple(cores[i::workers] or cores) for i in range(workers)]
    return [Share(own[i], gpus[i % len(gpus)] if gpus else "") for i in range(workers)]


def context() -> Any:
    """What processes are made from; they have one thread each once `prepare` has been called."""
    return multiprocessing.get_context(START)


def prepare() -> None:
    """Starts the server unless it runs already.

    Call it before torch is imported: then this process has one thread, too. On a machine that its workers keep busy, a
    second thread costs many times more than it gains.
    """
    gc.set_threshold(SEARCHED_AFTER, *gc.get_threshold()[1:])
    os.environ.update(ONE_THREAD)  # the server inherits it, and every worker from the server
    if START == "forkserver":
        context().set_forkserver_preload(PRELOADED)
        forkserver.ensure_running()


def end_with_parent() -> None:
    """Call it in a process that was started here: it is asked to end once its parent is gone, however that went."""
    threading.Thread(target=_wait_for_parent, daemon=True).start()


def _wait_for_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os.kill(os.getpid(), signal.SIGTERM)


INTERRUPTED = 130  # exit code of a process that was asked to end


@contextmanager
def interruptible() -> Iterator[Callable[[], None]]:
    """The first request to end (Ctrl+C, SIGTERM) is an interrupt, so that what is open is closed; a second one ends the
    process at once.

    Python drops an interrupt that comes while it runs a finaliser. What this gives raises it again; call it in loops.
    """
    asked = threading.Event()

    def end(*_: object) -> None:
        if asked.is_set():
            os._exit(INTERRUPTED)
        asked.set()
        raise KeyboardInterrupt

    def check() -> None:
        if asked.is_set():
            raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():
        yield check
        return
    before = {number: signal.signal(number, end) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield check
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def was_interrupted(check: Callable[[], None]) -> bool:
    """Whether an interrupt waits that nothing has looked at. `check`: of `interruptible`."""
    try:
        check()
    except KeyboardInterrupt:
        return True
    return False
