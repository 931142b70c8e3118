"""Networks of timm: what they see, which of them fit, and their weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import timm
import torch

from workbench.components.backbones import timm_backbone
from workbench.components.backbones.csp_darknet import CSPDarknet
from workbench.components.backbones.timm_backbone import TimmBackbone
from workbench.core.errors import Refused
from workbench.tensors import Level


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
        ("vit_tiny_patch16_224", r"does not take images of 96 x 160 pixels \(.*224"),
        ("swin_tiny_patch4_window7_224", "channels last"),
        ("inception_v3", "gives strides none, none, none, none, none; expected a convolutional network with strides"),
        ("csp_darknet_s", CSPDarknet.__name__),  # offered to timm by its own file
    ],
)
def test_unfit_names_are_refused_when_declared(name: str, says: str) -> None:
    with pytest.raises(Refused, match=says) as caught:
        TimmBackbone(name=name)
    assert "\n" not in str(caught.value)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["dla34", "test_convnext", "vgg11"])
def test_maps_are_those_that_are_announced(name: str) -> None:
    """dla34 gives no map of index 0: counted from there, all strides would be half of what they are."""
    with torch.device("meta"):
        module = TimmBackbone(name=name).build()
    assert [level.stride for level in module.levels] == [8, 16, 32]
    for high, wide in ((96, 96), (128, 224)):
        with torch.device("meta"):
            maps = module(torch.empty(2, 3, high, wide))
        assert [tuple(one.shape) for one in maps] == [(2, c, high // s, wide // s) for c, s in module.levels]


def test_what_gives_other_maps_alone_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not what timm says of a network counts, nor what it gives when it is asked for all: what it gives in use."""
    every = {i: Level(8, 2**i) for i in range(1, 6)}
    found = iter([every, {i - 1: every[i] for i in (2, 3, 4)}])
    asked = list[Any]()

    def levels(_: str, *images: Any, **options: Any) -> Any:
        asked.append(options)
        return next(found)

    monkeypatch.setattr(timm_backbone, "levels_by_index", levels)
    with pytest.raises(Refused, match="'resnet18' alone gives strides 4, 8, 16; expected"):
        timm_backbone.read_taps("resnet18")
    assert asked == [{}, {"out_indices": (3, 4, 5)}]


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
