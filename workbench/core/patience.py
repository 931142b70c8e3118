"""What is said to somebody who waits for a step that is mostly short."""

from __future__ import annotations

import multiprocessing
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

UNNOTICED = 2.0  # seconds that nobody minds


@contextmanager
def told_if_long(doing: str) -> Iterator[None]:
    """Says what is done, in a line to standard error, once that has taken `UNNOTICED` seconds.

    Workers say nothing: their command does.
    """
    if multiprocessing.parent_process() is not None:
        yield
        return
    timer = threading.Timer(UNNOTICED, lambda: print(f"{doing} ...", file=sys.stderr, flush=True))
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
