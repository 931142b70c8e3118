"""Our backbones as timm builds them."""

from __future__ import annotations

from typing import Any

import timm
import torch

from workbench.components.backbones.csp_darknet import CSPDarknet


def test_registered_features_equal_the_module() -> None:
    torch.manual_seed(0)
    registered: Any = timm.create_model("csp_darknet_t", features_only=True, out_indices=(2, 3, 4)).eval()
    module = CSPDarknet(width=0.375).build().eval()
    module.load_state_dict(registered.state_dict())
    x = torch.rand(1, 3, 32, 64) * 255
    for a, b in zip(registered(x), module(x), strict=True):
        assert torch.equal(a, b)
