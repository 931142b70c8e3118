"""How far a command is, on standard error: in place on a terminal, now and then a line elsewhere."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from workbench.training.record import Progress

LINE_EVERY = 15.0  # seconds between two lines where there is no terminal
CLEARED = "\r\x1b[K"  # a terminal's line, from its start


@dataclass
class _Seldom:
    """When the last line was written, in the seconds of a clock that only goes on."""

    last: float = -math.inf  # the first line comes at once

    def due(self) -> bool:
        """Whether it is time for another line, which then is the last."""
        if time.monotonic() - self.last < LINE_EVERY:
            return False
        self.last = time.monotonic()
        return True


# Steps of which there are so many


@contextmanager
def progress_shown(total: int | None, things: str = "") -> Iterator[Callable[[str], None]]:
    """Gives what is to be called with a name after each step.

    Args:
        total: how many steps there will be; None: nobody knows.
        things: what they are, as "images", which then is shown in place of the name of each.
    """
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    if not console.is_terminal:
        yield _Lines(total, things)
        return
    count, name = MofNCompleteColumn(separator=" of "), TextColumn("{task.description}", markup=False)
    with Progress(BarColumn(), count, name, TimeRemainingColumn(), console=console, transient=True) as bar:
        task = bar.add_task(things, total=total)
        yield lambda name: bar.update(task, advance=1, description=things or name)


class _Lines:
    def __init__(self, total: int | None, things: str) -> None:
        self.of, self.things = "" if total is None else f" of {total:,}", things
        self.count, self.seldom = 0, _Seldom(time.monotonic())

    def __call__(self, name: str) -> None:
        self.count += 1
        if self.seldom.due():
            what = f" {self.things}" if self.things else f": {name}"
            print(f"{self.count:,}{self.of}{what}", file=sys.stderr, flush=True)


# Training


class ProgressLine:
    """Says how far training has come: about once a second in a line that is written over, or else every 15 seconds in a
    new one. It can be handed to another process."""

    def __init__(self, on_terminal: bool) -> None:
        self.on_terminal, self.seldom = on_terminal, _Seldom()

    def __call__(self, progress: Progress) -> None:
        from workbench.evaluation.metrics import METRICS
        from workbench.experiments.console import progress_text

        if not (self.on_terminal or self.seldom.due()):
            return
        found = progress.metrics.get("AP", math.nan)
        text = progress_text(progress) + f", AP {METRICS['AP'].text(found)} %" * (not math.isnan(found))
        self._print(f"{CLEARED}{text}" if self.on_terminal else f"{text}\n")

    def __enter__(self) -> ProgressLine:
        return self

    def __exit__(self, *_: object) -> None:
        if self.on_terminal:
            self._print(CLEARED)

    def _print(self, text: str) -> None:
        print(text, end="", file=sys.stderr, flush=True)
