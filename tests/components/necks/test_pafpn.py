"""PAFPN has the layers of YOLOX."""

from __future__ import annotations

from workbench.components.necks.pafpn import PAFPN
from workbench.tensors import Level


def test_pafpn_is_yolox() -> None:
    """The parameters of YOLOX-s's own pyramid: 3 levels in, 128 channels out."""
    module = PAFPN(out_channels=128, strides=(8, 16, 32)).build((Level(128, 8), Level(256, 16), Level(512, 32)))
    convs = {k: tuple(v.shape) for k, v in module.state_dict().items() if k.endswith("conv.weight")}
    assert convs["reduce_layers.0.conv.weight"] == (256, 512, 1, 1)
    assert convs["top_down_blocks.1.main_conv.conv.weight"] == (64, 256, 1, 1)
    assert convs["bottom_up_blocks.1.final_conv.conv.weight"] == (512, 512, 1, 1)
    assert convs["out_convs.2.conv.weight"] == (128, 512, 1, 1)
