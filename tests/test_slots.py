"""What files of other packages import from the public door `slots`."""

from __future__ import annotations

from workbench import slots
from workbench.components.segments.warmup import Warmup
from workbench.core.errors import Refused
from workbench.models.catalog import KINDS


def test_slots_hand_on_what_a_component_needs() -> None:
    assert slots.Refused is Refused
    for base in KINDS.values():
        assert getattr(slots, base.__name__) is base
    assert slots.steps_of(Warmup().end, 600) == 5
