"""Networks of timm: what they see, which of them fit, and their weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import timm
import torch

from workbench.components.backbones import timm_backbone
from workbench.components.backbones.timm_backbone import TimmBackbone
from workbench.core.errors import Refused


def test_timm_sees_normalised_rgb() -> None:
    module: Any = TimmBackbone().build().eval()
    seen = []
    module.net.register_forward_pre_hook(lambda _, args: seen.append(args[0]))
    bgr = torch.tensor([0.0, 127.5, 255.0]).view(1, 3, 1, 1).expand(1, 3, 32, 32)
    module(bgr)
    want = (np.array([1.0, 0.5, 0.0]) - module.net.pretrained_cfg["mean"]) / module.net.pretrained_cfg["std"]
    np.testing.assert_allclose(seen[0][0, :, 0, 0].numpy(), want, rtol=1e-5)


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("resnet1812", "timm has no"),
        ("resnet18.nobody", "cannot give feature maps"),
        ("vit_tiny_patch16_224", "strides"),
        ("swin_tiny_patch4_window7_224", "channels last"),
        ("csp_darknet_s", "CSPDarknet"),
    ],
)
def test_unfit_names_are_refused_when_declared(name: str, says: str) -> None:
    with pytest.raises(Refused, match=says) as caught:
        TimmBackbone(name=name)
    assert "\n" not in str(caught.value)


def test_what_is_known_without_timm_is_what_timm_says() -> None:
    """Renew the version and the channels when timm is renewed."""
    assert timm.__version__ == timm_backbone.TIMM_VERSION
    for name in timm_backbone.TAPPED_CHANNELS:
        assert timm_backbone.taps_of(name) == timm_backbone.read_taps(name), name


def test_with_another_timm_it_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = list[str]()
    monkeypatch.setattr(timm_backbone, "read_taps", asked.append)
    monkeypatch.setattr(timm_backbone, "TIMM_VERSION", "0.0.1")
    timm_backbone.taps_of.__wrapped__("resnet18")
    assert asked == ["resnet18"]


def test_timm_weights_from_a_file(tmp_path: Path) -> None:
    torch.manual_seed(1)
    whole: Any = timm.create_model("resnet18")
    torch.save(whole.state_dict(), tmp_path / "resnet18.pth")
    module: Any = TimmBackbone(use_pretrained=str(tmp_path / "resnet18.pth")).build()
    assert torch.equal(module.net.layer4[1].conv2.weight, whole.layer4[1].conv2.weight)
