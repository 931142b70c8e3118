"""The half cosine of a schedule."""

from __future__ import annotations

import math

import pytest

from workbench.components.segments.cosine import Cosine
from workbench.core.errors import Refused


def test_the_rate_falls_along_a_half_cosine_to_its_floor() -> None:
    segment = Cosine(start=0.2, end=0.7, period=0.4, floor=1.0)
    rates = [segment.rate(3.0, 9.0, step, 10) for step in range(7)]
    fall = [2 + math.cos(math.pi * i / 4) for i in range(5)]
    assert rates == pytest.approx([3.0, 3.0, *fall])
    assert rates[-1] == pytest.approx(1.0)


def test_a_cosine_that_is_broken_off_stays_at_its_last_rate() -> None:
    segment = Cosine(start=0.0, end=0.3, period=0.4, floor=1.0)
    assert [segment.rate(3.0, 9.0, step, 10) for step in (2, 3, 9)] == pytest.approx([2.0] * 3)


@pytest.mark.parametrize(
    ("name", "value"),
    [("start", -0.1), ("start", 0.9), ("period", 0.0), ("period", -1.0), ("floor", -1e-4)],
)
def test_a_value_out_of_range_is_refused(name: str, value: float) -> None:
    with pytest.raises(Refused, match=rf"Cosine: .*{name} {value}"):
        Cosine(**{name: value})
