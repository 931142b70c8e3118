"""The hybrid encoder: published names and counts, golden numbers, and what its attention does."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
import torch
from torch import nn

from tests import recorded
from tests.components.necks.small import GIVEN, small
from tests.components.shapes import parameters
from tests.recorded import COUNTS, golden, weights
from workbench.components import blocks
from workbench.components.necks.hybrid_encoder import EncoderLayer, HybridEncoder, encoded, positions
from workbench.core.errors import Refused
from workbench.tensors import Level
from workbench.testing import random_maps

SIZES = {"t": (0.375, 0.33, 192), "s": (0.5, 0.33, 256), "m": (0.75, 0.67, 384), "l": (1.0, 1.0, 512)}


close = partial(recorded.close, tolerance=1e-5)  # the 2e-4 of the golden set would let an approximate GELU pass


def tiny() -> nn.Module:
    spec = HybridEncoder(
        transformer_embed_dims=64,
        transformer_num_heads=4,
        transformer_feedforward_channels=96,
        width=0.125,
        out_channels=64,
    )
    module = spec.build((Level(32, 8), Level(64, 16), Level(128, 32)))
    module.load_state_dict(weights(golden("tiny/state_dict"), "neck."))
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
    g = golden("tiny/inference")
    module: Any = blocks.fused(tiny()) if fuse else tiny()
    feats = [g[f"backbone_c{i}"].contiguous(memory_format=fmt) for i in (3, 4, 5)]
    p4, p5 = module(feats)
    close(p4, g["neck_p4"])
    close(p5, g["neck_p5"])
    assert p4.is_contiguous(memory_format=fmt)
    token = encoded(module.encoder[0], module.input_proj[2](feats[2]))
    close(token.flatten(2).transpose(1, 2), g["neck_encoder_out"])
    close(positions(4, 5, 64, torch.device("cpu"), torch.float32), g["neck_pos_enc_c5"])


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
    g = golden("pieces/encoder_layer")
    layer = nn.Module()
    layer.layers = nn.ModuleList([EncoderLayer(16, 4, 24)])
    layer.load_state_dict(weights(g, "w."))
    close(layer.layers[0](g["x"], g["pos"][0]), g["y"])


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
    wide, high = random_maps(GIVEN, 64, 96), random_maps(GIVEN, 96, 64)
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
        feats = random_maps(levels, 32, 32 * 40, batch=1)
        before = module(feats)[0][..., -1]
        feats[2] = feats[2].clone()
        feats[2][..., 0] += 1
        far.append(bool((module(feats)[0][..., -1] - before).abs().max() > 1e-6))
    assert far == [False, True]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("transformer_num_heads", heads) for heads in (0, -8, 7, 3)),
        ("transformer_encoder_layers", -1),
        ("transformer_dropout", -0.1),
        ("transformer_dropout", 1.0),
    ],
)
def test_a_value_out_of_range_is_refused(name: str, value: Any) -> None:
    with pytest.raises(Refused, match=name):
        HybridEncoder(**{name: value})


@pytest.mark.parametrize("off", ["transformer_encoder_layers", "depth"])
def test_layers_and_blocks_can_be_left_out(off: str) -> None:
    module = small(**{off: 0}).build(GIVEN)
    assert sum(p.numel() for p in module.parameters()) < sum(p.numel() for p in small().build(GIVEN).parameters())
