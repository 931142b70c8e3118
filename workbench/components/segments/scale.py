"""A factor on the rate from some step on: how the published schedule raises the rate again for its second half."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

from workbench.core.errors import Refused
from workbench.slots import Segment, steps_of


@final
@dataclass(frozen=True, kw_only=True)
class Scale(Segment):
    """The value times `factor` from `start` on."""

    start: float = 280 / 600
    factor: float = 2.5

    def check(self) -> None:
        if self.start < 0 or self.factor < 0:
            raise Refused(f"Scale: start {self.start}, factor {self.factor}; both must be 0 or more")

    def rate(self, value: float, base: float, step: int, total: int) -> float:
        return value * self.factor if step >= steps_of(self.start, total) else value
