"""How far a command is, on standard error: a bar on a terminal, now and then a line elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

LINE_EVERY = 15.0  # seconds between two lines where there is no terminal


@contextmanager
def progress_shown(total: int | None) -> Iterator[Callable[[str], None]]:
    """Gives what is to be called with a name after each step.

    Args:
        total: how many steps there will be; None: nobody knows.
    """
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    if not console.is_terminal:
        yield _Lines(total)
        return
    columns = (BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), TextColumn("{task.description}", markup=False))
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("", total=total)
        yield lambda name: bar.update(task, advance=1, description=name)


class _Lines:
    def __init__(self, total: int | None) -> None:
        self.of = "" if total is None else f" of {total:,}"
        self.count, self.last = 0, time.monotonic()

    def __call__(self, name: str) -> None:
        self.count += 1
        if time.monotonic() - self.last >= LINE_EVERY:
            self.last = time.monotonic()
            print(f"{self.count:,}{self.of}: {name}", file=sys.stderr, flush=True)
