"""A quadratic rise from next to nothing to the base rate: the start of the published schedule."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

from workbench.core.errors import Refused
from workbench.slots import Segment, steps_of


@final
@dataclass(frozen=True, kw_only=True)
class Warmup(Segment):
    """base * ((t + 1) / T)^2 for steps t before `end` (fraction of training) of T steps, whatever stands before it."""

    end: float = 5 / 600

    def check(self) -> None:
        if self.end < 0:
            raise Refused(f"Warmup.end {self.end}: must be 0 or more, a fraction of training")

    def rate(self, value: float, base: float, step: int, total: int) -> float:
        steps = steps_of(self.end, total)
        return base * ((step + 1) / steps) ** 2 if step < steps else value
