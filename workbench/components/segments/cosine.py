"""A half cosine from the rate so far down to a floor (SGDR, arXiv 1608.03983), which may be broken off early."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import final

from workbench.core.errors import Refused
from workbench.slots import Segment, steps_of


@final
@dataclass(frozen=True, kw_only=True)
class Cosine(Segment):
    """From the value at `start` towards `floor`, half a period long `period`, broken off at `end` (all fractions)."""

    start: float = 5 / 600
    end: float = 280 / 600
    period: float = 280 / 600
    floor: float = 2e-4

    def check(self) -> None:
        if not 0 <= self.start <= self.end:
            raise Refused(f"Cosine: start {self.start}, end {self.end}; expected 0 <= start <= end")
        if self.period <= 0 or self.floor < 0:
            raise Refused(f"Cosine: period {self.period}, floor {self.floor}; expected period > 0 and floor >= 0")

    def rate(self, value: float, base: float, step: int, total: int) -> float:
        start, end = steps_of(self.start, total), steps_of(self.end, total)
        if step < start:
            return value
        angle = math.pi * (min(step, end - 1) - start) / max(steps_of(self.period, total), 1)
        return self.floor + (value - self.floor) * (1 + math.cos(angle)) / 2
