"""The quadratic rise at the start of a schedule."""

from __future__ import annotations

import pytest

from workbench.components.segments.warmup import Warmup
from workbench.core.errors import Refused


def test_the_rate_rises_with_the_square_of_the_step() -> None:
    rates = [Warmup(end=0.4).rate(7.0, 1.6, step, 10) for step in range(6)]
    assert rates == pytest.approx([0.1, 0.4, 0.9, 1.6, 7.0, 7.0])  # what stands before it returns at its end


def test_no_warm_up_hands_the_rate_on() -> None:
    assert Warmup(end=0.0).rate(7.0, 1.6, 0, 10) == 7.0


def test_an_end_before_the_start_is_refused() -> None:
    with pytest.raises(Refused, match=r"Warmup.end -0\.1"):
        Warmup(end=-0.1)
