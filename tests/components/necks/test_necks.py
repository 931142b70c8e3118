"""Necks: published names and counts, golden numbers, and the contract that every one keeps."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from workbench.components import blocks
from workbench.components.necks.hybrid_encoder import EncoderLayer, HybridEncoder, encoded, positions
from workbench.components.necks.pafpn import PAFPN
from workbench.core.errors import Refused
from workbench.slots import Neck
from workbench.tensors import Level, Levels

GOLDEN = Path(__file__).parents[2] / "golden"
COUNTS = json.loads((GOLDEN / "counts.json").read_text())
SIZES = {"t": (0.375, 0.33, 192), "s": (0.5, 0.33, 256), "m": (0.75, 0.67, 384), "l": (1.0, 1.0, 512)}
GIVEN = (Level(12, 8), Level(20, 16), Level(28, 32))
CHOICES = ((8,), (16,), (32,), (8, 16), (8, 32), (16, 32), (8, 16, 32))


def small(**changes: Any) -> HybridEncoder:
    fields: dict[str, Any] = {
        "transformer_embed_dims": 16,
        "transformer_num_heads": 2,
        "transformer_feedforward_channels": 24,
        "out_channels": 10,
    }
    return HybridEncoder(**(fields | changes))


NECKS: tuple[Neck, ...] = (
    *(small(strides=s) for s in CHOICES),
    *(small(transformer_encoder_layers=n) for n in (0, 2, 3)),
    small(width=1.0, depth=1.0, transformer_dropout=0.1),
    *(PAFPN(width=0.03125, out_channels=10, strides=s) for s in CHOICES),
    PAFPN(width=0.05, depth=1.0, out_channels=7),
)


def close(got: Tensor, want: np.ndarray) -> None:
    """Within 1e-5 of the largest value: the golden set allows 2e-4, which an approximate GELU would pass."""
    assert got.shape == want.shape
    limit = 1e-5 * max(1.0, float(np.abs(want).max()))
    assert float((got.detach() - torch.from_numpy(want)).abs().max()) <= limit


def parameters(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


def maps(levels: Levels, h: int = 64, w: int = 96, batch: int = 2) -> list[Tensor]:
    return [torch.randn(batch, c, h // s, w // s) for c, s in levels]


def tiny() -> nn.Module:
    spec = HybridEncoder(
        transformer_embed_dims=64,
        transformer_num_heads=4,
        transformer_feedforward_channels=96,
        width=0.125,
        out_channels=64,
    )
    module = spec.build((Level(32, 8), Level(64, 16), Level(128, 32)))
    weights = np.load(GOLDEN / "tiny" / "state_dict.npz")
    names = [k for k in weights.files if k.startswith("neck.")]
    module.load_state_dict({k.removeprefix("neck."): torch.from_numpy(weights[k]) for k in names})
    return module.eval()


@pytest.mark.parametrize("size", SIZES)
def test_hybrid_encoder_counts(size: str) -> None:
    width, depth, out = SIZES[size]
    given = tuple(Level(int(c * width), s) for c, s in ((256, 8), (512, 16), (1024, 32)))
    with torch.device("meta"):
        module = HybridEncoder(width=width, depth=depth, out_channels=out).build(given)
    assert parameters(module) == COUNTS[size]["neck"]
    assert module.levels == ((out, 16), (out, 32))
    # A 3x3 and a 1x1 branch with their norms become one 3x3 with a bias: h^2 + 3 h parameters less per block.
    h, repvggs = int(256 * width), 4 * round(3 * depth)
    assert parameters(module) - parameters(blocks.fused(module)) == repvggs * (h * h + 3 * h)


@pytest.mark.parametrize("fmt", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("fuse", [False, True])
def test_hybrid_encoder_golden(fmt: torch.memory_format, fuse: bool) -> None:
    golden = np.load(GOLDEN / "tiny" / "inference.npz")
    module: Any = blocks.fused(tiny()) if fuse else tiny()
    feats = [torch.from_numpy(golden[f"backbone_c{i}"]).contiguous(memory_format=fmt) for i in (3, 4, 5)]
    p4, p5 = module(feats)
    close(p4, golden["neck_p4"])
    close(p5, golden["neck_p5"])
    assert p4.is_contiguous(memory_format=fmt)
    token = encoded(module.encoder[0], module.input_proj[2](feats[2]))
    close(token.flatten(2).transpose(1, 2), golden["neck_encoder_out"])
    close(positions(4, 5, 64, torch.device("cpu"), torch.float32), golden["neck_pos_enc_c5"])


def test_fused_names_are_the_published_ones() -> None:
    module = tiny()
    before = list(module.state_dict())
    deployed = list(blocks.fused(module).state_dict())
    names = {k for k in deployed if "bottlenecks" in k}
    assert names == {
        f"{side}_blocks.{i}.bottlenecks.0.conv_reparam.{part}"
        for side in ("fpn", "pan")
        for i in (0, 1)
        for part in ("weight", "bias")
    }
    assert list(module.state_dict()) == before  # the trained module is left as it was


def test_encoder_layer_golden() -> None:
    piece = np.load(GOLDEN / "pieces" / "encoder_layer.npz")
    layer = nn.Module()
    layer.layers = nn.ModuleList([EncoderLayer(16, 4, 24)])
    layer.load_state_dict({k[2:]: torch.from_numpy(piece[k]) for k in piece.files if k.startswith("w.")})
    close(layer.layers[0](torch.from_numpy(piece["x"]), torch.from_numpy(piece["pos"])[0]), piece["y"])


def test_attention_is_that_of_torch() -> None:
    torch.manual_seed(0)
    layer: Any = EncoderLayer(16, 4, 24)
    ours = layer.self_attn["attn"]
    torchs = nn.MultiheadAttention(16, 4, batch_first=True)
    assert [(k, v.shape) for k, v in ours.state_dict().items()] == [
        (k, v.shape) for k, v in torchs.state_dict().items()
    ]
    torchs.load_state_dict(ours.state_dict())
    x, pos = torch.randn(2, 7, 16), torch.randn(7, 16)
    torch.testing.assert_close(ours(x, pos), torchs(x + pos, x + pos, x, need_weights=False)[0])


@pytest.mark.parametrize("spec", NECKS, ids=lambda s: f"{type(s).__name__}-{s.key}")
def test_contract(spec: Neck) -> None:
    torch.manual_seed(0)
    module = spec.build(GIVEN)
    given = maps(GIVEN)
    copies = [x.clone() for x in given]
    feats = module(given)
    assert all(torch.equal(a, b) for a, b in zip(given, copies, strict=True))
    assert tuple(lv.stride for lv in module.levels) == getattr(spec, "strides")  # noqa: B009
    assert [tuple(f.shape) for f in feats] == [(2, c, 64 // s, 96 // s) for c, s in module.levels]
    torch.stack([(f * torch.randn_like(f)).sum() for f in feats]).sum().backward()
    dead = [n for n, p in module.named_parameters() if p.grad is None or not bool(p.grad.abs().sum() > 0)]
    assert not dead
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        assert all(bool(f.isfinite().all()) for f in module.eval()(given))


def test_fewer_outputs_keep_the_rest() -> None:
    """P5 alone drops a projector and nothing else: its weights are those of the published pair."""
    both, alone = (small(strides=s).build(GIVEN).state_dict() for s in ((16, 32), (32,)))
    assert {k for k in both if k not in alone} == {k for k in both if k.startswith("projector.convs.1")}


def test_initial_weights() -> None:
    torch.manual_seed(0)
    state = HybridEncoder().build((Level(128, 8), Level(256, 16), Level(512, 32))).state_dict()

    def check(name: str, deviation: float, bound: float) -> None:
        got = state[name]
        assert got.std().item() == pytest.approx(deviation, rel=0.03)
        assert got.abs().max().item() <= bound

    normal = (2 / 256) ** 0.5  # Kaiming, fan_out of a 1x1 to 256 channels
    check("input_proj.0.conv.weight", normal, 6 * normal)
    check("lateral_convs.1.conv.weight", normal, 6 * normal)
    down = (2 / (256 * 9)) ** 0.5
    check("downsample_convs.0.conv.weight", down, 6 * down)
    branch = (128 * 9) ** -0.5
    check("fpn_blocks.0.bottlenecks.0.branch_3x3.conv.weight", branch / 3**0.5, branch)
    xavier = (6 / 512) ** 0.5
    check("projector.convs.0.conv.weight", xavier / 3**0.5, xavier)
    packed = (6 / 1024) ** 0.5
    check("encoder.0.layers.0.self_attn.attn.in_proj_weight", packed / 3**0.5, packed)
    assert not state["encoder.0.layers.0.self_attn.attn.out_proj.bias"].any()


def test_positions_follow_size_and_precision() -> None:
    """The remembered table is never one of another size, and the exact one after a cast."""
    torch.manual_seed(0)
    module = small().build(GIVEN).eval()
    wide, high = maps(GIVEN, 64, 96), maps(GIVEN, 96, 64)
    with torch.inference_mode():
        first = module(wide)
    module(high)
    again = module(wide)  # with gradients, after a table was made without
    torch.stack([x.sum() for x in again]).sum().backward()
    for a, b in zip(first, again, strict=True):
        torch.testing.assert_close(a.clone(), b.detach())
    exact = positions(3, 50, 16, torch.device("cpu"), torch.float64)
    assert float((positions(3, 50, 16, torch.device("cpu"), torch.float32) - exact).abs().max()) < 1e-6
    table = exact.view(3, 50, 16)
    p = 49 / 10000 ** (torch.arange(4) / 4)
    torch.testing.assert_close(table[2, 49, 8:], torch.cat((p.cos(), p.sin())).double(), rtol=1e-5, atol=1e-5)
    assert all(x.dtype == torch.bfloat16 for x in module.bfloat16()([x.bfloat16() for x in wide]))


def test_dropout_is_on_in_training_only() -> None:
    torch.manual_seed(0)
    layer = EncoderLayer(16, 2, 24, dropout=0.5)
    x, pos = torch.randn(1, 12, 16), torch.randn(12, 16)
    assert not torch.equal(layer(x, pos), layer(x, pos))
    layer.eval()
    assert torch.equal(layer(x, pos), layer(x, pos))


def test_the_encoder_is_what_lets_far_cells_speak() -> None:
    """With a layer, a change in one corner of C5 reaches the other; without, it stays near."""
    torch.manual_seed(0)
    levels = (Level(12, 8), Level(20, 16), Level(28, 32))
    far = []
    for layers in (0, 1):
        module = small(transformer_encoder_layers=layers, strides=(32,)).build(levels).eval()
        feats = maps(levels, 32, 32 * 40, batch=1)
        before = module(feats)[0][..., -1]
        feats[2] = feats[2].clone()
        feats[2][..., 0] += 1
        far.append(bool((module(feats)[0][..., -1] - before).abs().max() > 1e-6))
    assert far == [False, True]


def test_pafpn_is_yolox() -> None:
    """The parameters of YOLOX-s's own pyramid: 3 levels in, 128 channels out."""
    module = PAFPN(out_channels=128, strides=(8, 16, 32)).build((Level(128, 8), Level(256, 16), Level(512, 32)))
    convs = {k: tuple(v.shape) for k, v in module.state_dict().items() if k.endswith("conv.weight")}
    assert convs["reduce_layers.0.conv.weight"] == (256, 512, 1, 1)
    assert convs["top_down_blocks.1.main_conv.conv.weight"] == (64, 256, 1, 1)
    assert convs["bottom_up_blocks.1.final_conv.conv.weight"] == (512, 512, 1, 1)
    assert convs["out_convs.2.conv.weight"] == (128, 512, 1, 1)


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"strides": ()}, "strides"),
        ({"strides": (32, 16)}, "strides"),
        ({"strides": (4, 8)}, "strides"),
        ({"strides": (16, 16)}, "strides"),
        ({"transformer_num_heads": 3}, "heads"),
        ({"transformer_encoder_layers": -1}, "layers"),
        ({"transformer_dropout": 1.0}, "dropout"),
        ({"width": 0.001}, "width"),
    ],
)
def test_impossible_specs_are_refused(fields: dict[str, Any], says: str) -> None:
    with pytest.raises(Refused, match=says):
        HybridEncoder(**fields)
    if set(fields) <= {"strides", "width"}:
        with pytest.raises(Refused, match=says):
            PAFPN(**fields)


@pytest.mark.parametrize("spec", [HybridEncoder(), PAFPN()])
def test_other_strides_are_refused(spec: Neck) -> None:
    with pytest.raises(Refused, match="strides"):
        spec.build((Level(8, 4), Level(8, 8), Level(8, 16)))


def test_doubled_repeats() -> None:
    x = torch.rand(1, 2, 3, 5)
    assert torch.equal(blocks.doubled(x), x.repeat_interleave(2, 2).repeat_interleave(2, 3))
    assert torch.equal(blocks.doubled(x), F.interpolate(x, size=(6, 10), mode="nearest"))
