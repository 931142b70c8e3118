"""What files of other packages import from the public door `presets`."""

from __future__ import annotations

import pytest

from workbench import presets
from workbench.core.errors import Refused


def test_presets_have_their_names() -> None:
    old = "CROWDPOSE_SCHEDULE NANO NANO_RECIPE NETWORKS REGRESSION RTMO_S SETTINGS named nano rtmo setting trunk_jobs"
    for name in old.split():
        assert name in presets.__all__ and getattr(presets, name) is not None


def test_a_network_and_a_protocol_are_had_by_their_names() -> None:
    assert presets.named("rtmo-t") == presets.rtmo("t")
    assert presets.named("nano") == presets.nano()
    assert presets.setting("proxy") == presets.SETTINGS["proxy"]
    with pytest.raises(Refused, match="proxi"):
        presets.setting("proxi")
