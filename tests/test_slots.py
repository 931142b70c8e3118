"""What files of other packages import from the two public doors, `slots` and `presets`."""

from __future__ import annotations

from workbench import presets, slots
from workbench.components.segments.warmup import Warmup
from workbench.core.errors import Refused
from workbench.models.catalog import KINDS


def test_slots_hand_on_what_a_component_needs() -> None:
    assert slots.Refused is Refused
    for base in KINDS.values():
        assert getattr(slots, base.__name__) is base
    assert slots.steps_of(Warmup().end, 600) == 5


def test_presets_have_their_names() -> None:
    old = "CROWDPOSE_SCHEDULE NANO NANO_RECIPE NETWORKS REGRESSION RTMO_S SETTINGS named nano rtmo setting trunk_jobs"
    for name in old.split():
        assert name in presets.__all__ and getattr(presets, name) is not None
