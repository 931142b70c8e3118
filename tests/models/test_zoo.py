"""The networks that have a name."""

from __future__ import annotations

import pytest

from workbench.core.errors import Refused
from workbench.models import zoo


@pytest.mark.parametrize("name", ["nano", "rtmo-t", "rtmo-l", "rtmo-m-crowdpose", "stdc1-rtmo", "resnet18-rtmo"])
def test_a_network_has_a_name(name: str) -> None:
    variant = zoo.network_named(name)
    assert type(variant.backbone).__name__ == {"stdc1-rtmo": "STDC", "resnet18-rtmo": "TimmBackbone"}.get(
        name, "CSPDarknet"
    )
    assert variant.num_keypoints == (14 if "crowd" in name else 17)
    assert zoo.network_named(name.replace("rtmo-", "rtmo_")) == variant


@pytest.mark.parametrize("name", ["rtmo-x", "rtmo", "nothing-rtmo", "vit_tiny_patch16_224-rtmo"])
def test_an_unknown_name_is_refused_with_the_list(name: str) -> None:
    with pytest.raises(
        Refused, match=r"no network .*there are nano, rtmo-t, .*BACKBONE-rtmo with stdcnano, stdc1, stdc2"
    ):
        zoo.network_named(name)
