"""What is to be written into MLflow while a study runs: in order, each once, and never in the way of the study.

A record that can not be written waits. It is tried again later, and once more at the end; what is left then is said,
and delivered by the next run of the same command. Results themselves lie in the folders of their jobs.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from typing import NamedTuple

from workbench.core.errors import one_line
from workbench.core.faults import machine_fault

GIVEN_UP = 3  # failures at the end after which the store is away
FIRST, LONGEST = 15.0, 300.0  # seconds until a store that is away is asked again: as long again each time, up to these


class Parcel(NamedTuple):
    """One entry of the record: what people call it, and how it is written."""

    title: str
    write: Callable[[], object]


class Delivery:
    """Writes parcels, one at each call: workers and display come first."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._waiting = deque[Parcel]()
        self._pause, self._next = 0.0, 0.0

    def add(self, title: str, write: Callable[[], object]) -> None:
        self._waiting.append(Parcel(title, write))

    def step(self) -> bool:
        """Writes the next one, if there is one and it is time. Whether it wants to be called again at once."""
        if not self._waiting or time.monotonic() < self._next:
            return False
        error = self._write(self._waiting[0])
        if error is None:
            self._waiting.popleft()
            self._pause = 0.0
            return bool(self._waiting)
        if not self._pause:
            self._say(f"not recorded yet: {self._waiting[0].title}: {error}; it is tried again")
        self._pause = min(2 * self._pause or FIRST, LONGEST)
        self._next = time.monotonic() + self._pause
        return False

    def finish(self) -> None:
        """Tries all that wait once more. One that can not be written does not keep others from it; `GIVEN_UP` do."""
        left, errors = list[Parcel](), list[str]()
        for one in self._waiting:
            error = None if len(errors) == GIVEN_UP else self._write(one)
            errors += [] if error is None else [error]
            left += [one] if error is not None or len(errors) == GIVEN_UP else []
        self._waiting.clear()
        if left:
            more = f" and {len(left) - 1} more" if len(left) > 1 else ""
            self._say(f"not recorded: {left[0].title}{more}: {errors[0]}; run the same command again")

    def _write(self, one: Parcel) -> str | None:
        try:
            one.write()
        except Exception as error:  # whatever a store or a server has to say
            return machine_fault(error) or one_line(error)
        return None
