"""Shared layers against recorded numbers, and what fusing and rearranging must keep."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tests.recorded import close, golden, weights
from workbench.components import blocks


def loaded(module: nn.Module, g: dict[str, Tensor]) -> nn.Module:
    module.load_state_dict(weights(g, "w."))
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
    g = golden(f"pieces/{name}")
    made = loaded(module(), g)
    x = g["x"].contiguous(memory_format=fmt)
    close(made(x), g["y"])
    with torch.no_grad():
        close(made(x), g["y"])
        close(blocks.fused(made)(x), g["y"])


def test_repvgg_fuses_to_the_published_kernel() -> None:
    g = golden("pieces/repvgg")
    fused = blocks.fused(loaded(blocks.RepVGG(6), g))
    state = fused.state_dict()
    assert list(state) == ["conv_reparam.weight", "conv_reparam.bias"]
    close(state["conv_reparam.weight"], g["fused_weight"])
    close(state["conv_reparam.bias"], g["fused_bias"])


def test_phases_are_slices_in_the_published_order() -> None:
    x = torch.rand(2, 3, 6, 10)
    for fmt in (torch.contiguous_format, torch.channels_last):
        got = blocks.phases(x.contiguous(memory_format=fmt))
        assert got.is_contiguous(memory_format=fmt)
        for phase, (row, column) in enumerate(((0, 0), (1, 0), (0, 1), (1, 1))):
            for y, x0 in ((0, 0), (2, 4)):
                assert torch.equal(got[:, 3 * phase : 3 * phase + 3, y, x0], x[:, :, 2 * y + row, 2 * x0 + column])


def test_doubled_repeats() -> None:
    x = torch.rand(1, 2, 3, 5)
    assert torch.equal(blocks.doubled(x), x.repeat_interleave(2, 2).repeat_interleave(2, 3))
    assert torch.equal(blocks.doubled(x), F.interpolate(x, size=(6, 10), mode="nearest"))
