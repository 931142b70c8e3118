"""The networks that have a name."""

from __future__ import annotations

import pytest

from workbench.components.backbones.csp_darknet import CSP_SIZES
from workbench.core.errors import Refused
from workbench.experiments import protocols
from workbench.models import zoo
from workbench.rtmo import ModelManager


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


def test_every_size_is_said_once() -> None:
    """Backbone, neck, head and the published configuration of a size are made from one table."""
    for name, size in zoo.SIZES.items():
        variant = zoo.rtmo(name)
        backbone, neck, head = (dict(getattr(variant, slot).flat()) for slot in ("backbone", "neck", "head"))
        assert (backbone["width"], backbone["depth"]) == CSP_SIZES[name] == (size.width, size.depth)
        assert (neck["width"], neck["depth"], neck["out_channels"]) == size
        assert (head["width"], head["pose_vec_channels"]) == (size.width, size.pose)
    for name, release in zoo.RELEASED.items():
        assert ModelManager.config(name).variant() == zoo.rtmo(release.size, release.keypoints)
        assert f"{release.side}x{release.side}" in release.file
    scaled = protocols.PROTOCOLS["proxy"].scale
    assert {slot: scaled[slot] for slot in ("backbone", "neck", "head")} == {
        slot: getattr(zoo.rtmo("t"), slot) for slot in ("backbone", "neck", "head")
    }


@pytest.mark.parametrize(
    ("name", "side"),
    [
        ("nano", 96),
        ("rtmo-t", 416),
        ("rtmo_t", 416),
        ("rtmo-s", 640),
        ("rtmo-l-crowdpose", 640),
        ("rtmo-m-coco", 640),
        ("stdc1-rtmo", 640),
    ],
)
def test_a_network_has_the_size_of_its_release(name: str, side: int) -> None:
    assert zoo.native_size(name) == (side, side)
