"""CSPDarknet: published names and counts, and golden numbers."""

from __future__ import annotations

from typing import Any, Literal

import pytest
import timm
import torch

from tests.components.shapes import parameters
from tests.recorded import COUNTS, close, golden, weights
from workbench.components.backbones.csp_darknet import CSP_SIZES, CSPDarknet
from workbench.core.errors import Refused


@pytest.mark.parametrize("size", CSP_SIZES)
def test_csp_darknet_counts(size: Literal["t", "s", "m", "l"]) -> None:
    width, depth = CSP_SIZES[size]
    with torch.device("meta"):
        module = CSPDarknet(width=width, depth=depth).build()
        registered: Any = timm.create_model(f"csp_darknet_{size}", features_only=True)
    assert parameters(module) == parameters(registered) == COUNTS[size]["backbone"]
    assert [lv.channels for lv in module.levels] == [int(c * width) for c in (256, 512, 1024)]
    assert list(module.state_dict()) == list(registered.state_dict())
    assert registered.feature_info.reduction() == [2, 4, 8, 16, 32]


def test_csp_darknet_golden() -> None:
    module = CSPDarknet(width=0.125).build().eval()
    module.load_state_dict(weights(golden("tiny/state_dict"), "backbone."))
    g = golden("tiny/inference")
    images = g["image_uint8_bgr_nhwc"].permute(0, 3, 1, 2).float()
    for x in (images.contiguous(), images.contiguous(memory_format=torch.channels_last)):
        for got, name in zip(module(x), ("c3", "c4", "c5"), strict=True):
            close(got, g[f"backbone_{name}"])


@pytest.mark.parametrize(
    ("name", "value"), [("width", 0.0), ("width", -1.0), ("width", 0.01), ("depth", -0.33), ("depth", -1.0)]
)
def test_impossible_sizes_are_refused(name: str, value: Any) -> None:
    with pytest.raises(Refused, match=rf"{name} {value}.*expected width"):
        CSPDarknet(**{name: value})
