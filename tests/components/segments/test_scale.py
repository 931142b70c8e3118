"""A factor on the rate from some step on."""

from __future__ import annotations

import pytest

from workbench.components.segments.scale import Scale
from workbench.core.errors import Refused


def test_the_rate_is_multiplied_from_its_start_on() -> None:
    segment = Scale(start=0.3, factor=2.5)
    assert [segment.rate(2.0, 9.0, step, 10) for step in (0, 2, 3, 9)] == [2.0, 2.0, 5.0, 5.0]


@pytest.mark.parametrize(("name", "value"), [("start", -0.1), ("factor", -2.5)])
def test_a_value_out_of_range_is_refused(name: str, value: float) -> None:
    with pytest.raises(Refused, match=rf"Scale: .*{name} {value}"):
        Scale(**{name: value})
