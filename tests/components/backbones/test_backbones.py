"""Backbones: published names and counts, golden numbers, and the contract that every one keeps."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
import timm
import torch
from torch import nn

from workbench.components import blocks
from workbench.components.backbones.csp_darknet import CSP_SIZES, CSPDarknet
from workbench.components.backbones.stdc import STDC
from workbench.components.backbones.timm_backbone import TimmBackbone
from workbench.core.errors import Refused
from workbench.slots import Backbone

GOLDEN = Path(__file__).parents[2] / "golden"
COUNTS = json.loads((GOLDEN / "counts.json").read_text())
TINY = np.load(GOLDEN / "tiny" / "state_dict.npz")

SMALL: tuple[Backbone, ...] = (
    CSPDarknet(width=0.125),
    CSPDarknet(width=0.1875, depth=1.0),
    STDC(size="nano"),
    TimmBackbone(name="resnet18"),
    TimmBackbone(name="cs3darknet_focus_s"),
    TimmBackbone(name="convnext_atto"),
)
LARGE: tuple[Backbone, ...] = (
    *(CSPDarknet(width=w, depth=d) for w, d in CSP_SIZES.values()),
    STDC(size="1"),
    STDC(size="2"),
    *(TimmBackbone(name=f"resnet{n}") for n in (34, 50, 101)),
    *(TimmBackbone(name=f"cs3darknet_{n}") for n in ("m", "l", "x", "focus_m", "focus_l")),
)


def close(got: torch.Tensor, want: np.ndarray) -> None:
    """Within 2e-4 of the largest value, the tolerance of the golden set."""
    assert got.shape == want.shape
    limit = 2e-4 * max(1.0, float(np.abs(want).max()))
    assert float((got.detach() - torch.from_numpy(want)).abs().max()) <= limit


def parameters(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


def loaded(module: nn.Module, piece: Any) -> nn.Module:
    weights = {k[2:]: torch.from_numpy(piece[k]) for k in piece.files if k.startswith("w.")}
    module.load_state_dict(weights)
    return module.eval()


@pytest.mark.parametrize("fmt", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize(
    ("name", "module"),
    [
        ("focus_stem", lambda: blocks.FocusStem(3, 8)),
        ("spp", lambda: blocks.SPP(8)),
        ("csp_layer", lambda: blocks.CSPLayer(8, 12, 2, identity=True)),
        ("repvgg", lambda: blocks.RepVGG(6)),
        ("csp_rep_layer", lambda: blocks.CSPRepLayer(12, 8, 4, 2)),
        ("csp_rep_layer_noexpand", lambda: blocks.CSPRepLayer(12, 6, 6, 1)),
    ],
)
def test_pieces(name: str, module: Any, fmt: torch.memory_format) -> None:
    piece = np.load(GOLDEN / "pieces" / f"{name}.npz")
    made = loaded(module(), piece)
    x = torch.from_numpy(piece["x"]).contiguous(memory_format=fmt)
    close(made(x), piece["y"])
    with torch.no_grad():
        close(made(x), piece["y"])
        close(blocks.fused(made)(x), piece["y"])


def test_repvgg_fuses_to_the_published_kernel() -> None:
    piece = np.load(GOLDEN / "pieces" / "repvgg.npz")
    fused = blocks.fused(loaded(blocks.RepVGG(6), piece))
    state = fused.state_dict()
    assert list(state) == ["conv_reparam.weight", "conv_reparam.bias"]
    close(state["conv_reparam.weight"], piece["fused_weight"])
    close(state["conv_reparam.bias"], piece["fused_bias"])


def test_phases_are_slices_in_the_published_order() -> None:
    x = torch.rand(2, 3, 6, 10)
    for fmt in (torch.contiguous_format, torch.channels_last):
        got = blocks.phases(x.contiguous(memory_format=fmt))
        assert got.is_contiguous(memory_format=fmt)
        for phase, (row, column) in enumerate(((0, 0), (1, 0), (0, 1), (1, 1))):
            for y, x0 in ((0, 0), (2, 4)):
                assert torch.equal(got[:, 3 * phase : 3 * phase + 3, y, x0], x[:, :, 2 * y + row, 2 * x0 + column])


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


@pytest.mark.parametrize(("size", "count"), [("nano", 1_334_096), ("1", 5_318_304), ("2", 9_348_768)])
def test_stdc_counts(size: Literal["nano", "1", "2"], count: int) -> None:
    with torch.device("meta"):
        module = STDC(size=size).build()
        registered: Any = timm.create_model(f"stdc_{size}", features_only=True)
    assert parameters(module) == parameters(registered) == count
    base = 32 if size == "nano" else 64
    assert module.levels == ((4 * base, 8), (8 * base, 16), (16 * base, 32))
    assert registered.feature_info.reduction() == [2, 4, 8, 16, 32]


def test_csp_darknet_golden() -> None:
    module = CSPDarknet(width=0.125).build().eval()
    names = [k for k in TINY.files if k.startswith("backbone.")]
    module.load_state_dict({k.removeprefix("backbone."): torch.from_numpy(TINY[k]) for k in names})
    golden = np.load(GOLDEN / "tiny" / "inference.npz")
    images = torch.from_numpy(golden["image_uint8_bgr_nhwc"]).permute(0, 3, 1, 2).float()
    for x in (images.contiguous(), images.contiguous(memory_format=torch.channels_last)):
        for got, name in zip(module(x), ("c3", "c4", "c5"), strict=True):
            close(got, golden[f"backbone_{name}"])


def test_registered_features_equal_the_module() -> None:
    torch.manual_seed(0)
    registered: Any = timm.create_model("csp_darknet_t", features_only=True, out_indices=(2, 3, 4)).eval()
    module = CSPDarknet(width=0.375).build().eval()
    module.load_state_dict(registered.state_dict())
    x = torch.rand(1, 3, 32, 64) * 255
    for a, b in zip(registered(x), module(x), strict=True):
        assert torch.equal(a, b)


@pytest.mark.parametrize("spec", SMALL, ids=lambda s: f"{type(s).__name__}-{s.key}")
def test_contract(spec: Backbone) -> None:
    torch.manual_seed(0)
    module = spec.build()
    for p in module.parameters():  # some networks start with residual branches scaled by 0, which stops gradients
        if p.ndim == 1 and not p.any():
            nn.init.constant_(p, 0.5)
    images = (torch.rand(2, 3, 64, 96) * 255).contiguous(memory_format=torch.channels_last)
    feats = module(images)
    assert [lv.stride for lv in module.levels] == [8, 16, 32]
    assert [tuple(f.shape) for f in feats] == [(2, c, 64 // s, 96 // s) for c, s in module.levels]
    torch.stack([(f * torch.randn_like(f)).sum() for f in feats]).sum().backward()
    dead = [n for n, p in module.named_parameters() if p.grad is None or not bool(p.grad.abs().sum() > 0)]
    assert not dead
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        assert all(bool(f.isfinite().all()) for f in module.eval()(images))


@pytest.mark.slow
@pytest.mark.parametrize("spec", LARGE, ids=lambda s: f"{type(s).__name__}-{s.key}")
def test_contract_without_memory(spec: Backbone) -> None:
    with torch.device("meta"):
        module = spec.build()
        feats = module(torch.zeros(1, 3, 64, 96))
    assert [tuple(f.shape) for f in feats] == [(1, c, 64 // s, 96 // s) for c, s in module.levels]
    assert [lv.stride for lv in module.levels] == [8, 16, 32]


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


def test_weights_that_cannot_be_had(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def offline(*_: Any, **__: Any) -> None:
        raise OSError("no route\nto host")

    monkeypatch.setenv("WORKBENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("urllib.request.urlopen", offline)
    with pytest.raises(Refused, match=r"could not be downloaded \(OSError: no route\).*path"):
        CSPDarknet(use_pretrained=True).build()
    TimmBackbone()  # its layout is read before the network is gone
    monkeypatch.setattr(timm, "create_model", offline)
    with pytest.raises(Refused, match=r"'resnet18' could not be downloaded \(OSError: no route\).*path"):
        TimmBackbone(use_pretrained=True).build()
    with pytest.raises(Refused, match=r"no weights for width 0\.2"):
        CSPDarknet(width=0.2, use_pretrained=True)
    with pytest.raises(Refused, match="no weights to download"):
        STDC(use_pretrained=True)
    for spec in (CSPDarknet, STDC, TimmBackbone):
        with pytest.raises(Refused, match="no such file"):
            spec(use_pretrained=str(tmp_path / "none.pth")).build()


def test_weights_from_files(tmp_path: Path) -> None:
    file = str(tmp_path / "weights.pth")
    torch.save({"state_dict": {k: torch.from_numpy(TINY[k]) for k in TINY.files}}, file)
    for path in (file, str(GOLDEN / "tiny" / "state_dict.npz")):
        module = CSPDarknet(width=0.125, use_pretrained=path).build()
        assert torch.equal(
            module.state_dict()["stage4.1.conv1.bn.bias"], torch.from_numpy(TINY["backbone.stage4.1.conv1.bn.bias"])
        )
    with pytest.raises(Refused, match=r"do not fit \(stem.conv.conv.weight: \(8, 12, 3, 3\) in it, \(32, 12, 3, 3\)"):
        CSPDarknet(use_pretrained=file).build()
    with pytest.raises(Refused, match=r"lacks 60 weights of 'resnet18', first conv1\.weight"):
        TimmBackbone(use_pretrained=file).build()
    (tmp_path / "text.pth").write_text("not weights")
    with pytest.raises(Refused, match="not a checkpoint"):
        STDC(use_pretrained=str(tmp_path / "text.pth")).build()


def test_timm_weights_from_a_file(tmp_path: Path) -> None:
    torch.manual_seed(1)
    whole: Any = timm.create_model("resnet18")
    torch.save(whole.state_dict(), tmp_path / "resnet18.pth")
    module: Any = TimmBackbone(use_pretrained=str(tmp_path / "resnet18.pth")).build()
    assert torch.equal(module.net.layer4[1].conv2.weight, whole.layer4[1].conv2.weight)


@pytest.mark.parametrize("spec", [{"width": 0.0}, {"width": 0.01}, {"depth": -1.0}])
def test_impossible_sizes_are_refused(spec: dict[str, Any]) -> None:
    with pytest.raises(Refused, match="expected width"):
        CSPDarknet(**spec)
