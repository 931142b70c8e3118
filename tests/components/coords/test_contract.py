"""The contract that every coordinate stage keeps."""

from __future__ import annotations

from contextlib import nullcontext

import pytest
import torch
from torch import Tensor

from tests.components.coords.stages import STAGES, some_cells
from workbench.components.coords.box_heatmap import BoxHeatmap
from workbench.components.coords.dcc import DCC
from workbench.slots import Coords
from workbench.tensors import Coordinates


@pytest.mark.parametrize("name", STAGES)
def test_decode_agrees_with_forward(name: str) -> None:
    stage = STAGES[name].build(6, 5).eval()
    cells = some_cells(4)
    torch.testing.assert_close(stage.decode(cells), stage(cells).keypoints, rtol=0, atol=1e-3)


def everything(out: Coordinates) -> list[Tensor]:
    heats = [a for a in (out.x, out.y, out.grid) if a]
    return [
        out.keypoints,
        *([] if out.sigma is None else [out.sigma]),
        *(a.prob for a in heats),
        *(a.bins for a in heats),
    ]


@pytest.mark.parametrize("bf16", [False, True], ids=["float32", "bf16"])
@pytest.mark.parametrize("p", [0, 1, 4])
@pytest.mark.parametrize("name", STAGES)
def test_stage_trains_on_any_number_of_cells(name: str, p: int, bf16: bool) -> None:
    spec, k = STAGES[name], 5
    stage = spec.build(6, k).train()
    cells = some_cells(p, k)
    with torch.autocast("cpu", torch.bfloat16) if bf16 else nullcontext():
        out = stage(cells)
    assert out.keypoints.shape == (p, k, 2)
    assert all(t.dtype == torch.float32 and bool(t.isfinite().all()) for t in everything(out))
    # Random factors, because a sum over probabilities is constant and has no gradient.
    total = torch.stack([(t * torch.randn_like(t)).sum() for t in everything(out)]).sum()
    total.backward()
    if p == 0:
        assert float(total.detach()) == 0.0
    for parameter in (n for n, v in stage.named_parameters() if v.grad is None):
        pytest.fail(f"{parameter} is without a gradient")
    if p == 4:
        silent = {n for n, v in stage.named_parameters() if v.grad is not None and not v.grad.abs().max() > 0}
        assert silent <= {"x_fc.bias", "y_fc.bias"}


@pytest.mark.parametrize("name", STAGES)
def test_stage_gives_what_it_offers(name: str) -> None:
    spec = STAGES[name]
    cells = some_cells(3, 5)
    if not spec.reads_proxy:
        cells.proxy = None
    out = spec.build(6, 5)(cells)
    assert ("sigma" in spec.offers) == (out.sigma is not None)
    assert ("axes" in spec.offers) == (out.x is not None and out.y is not None)
    assert ("grid" in spec.offers) == (out.grid is not None)
    assert ("teacher" in spec.offers) == (not spec.reads_proxy)
    for heat in (out.x, out.y, out.grid):
        if heat is not None:
            width = heat.prob.shape[-1]
            assert heat.logits.shape == heat.prob.shape == (3, 5, width)
            assert heat.bins.shape[:2] == (3, width)
            torch.testing.assert_close(heat.prob.sum(-1), torch.ones(3, 5))
            torch.testing.assert_close(heat.prob, heat.logits.softmax(-1))


@pytest.mark.parametrize("name", STAGES)
def test_stage_is_made_of_its_spec_alone(name: str) -> None:
    spec = STAGES[name]
    stage = spec.build(6, 2)
    state = stage.state_dict()
    spec.build(6, 2).load_state_dict(state)
    assert all(t.isfinite().all() for t in state.values())


@pytest.mark.parametrize("name", ["dcc", "dcc static encoding", "box heatmap"])
def test_bins_on_the_box_follow_it(name: str) -> None:
    out = (stage := STAGES[name].build(6, 5).eval())(cells := some_cells(3))
    x1, y1, x2, y2 = cells.boxes.detach().unbind(-1)
    low = torch.stack((x1 + x2, y1 + y2), -1) / 2 - 0.625 * torch.stack((x2 - x1, y2 - y1), -1)
    high = torch.stack((x1 + x2, y1 + y2), -1) / 2 + 0.625 * torch.stack((x2 - x1, y2 - y1), -1)
    bins = [out.grid.bins[..., i] for i in (0, 1)] if out.grid else [out.x.bins, out.y.bins]
    torch.testing.assert_close(torch.stack([b.amin(-1) for b in bins], -1), low)
    torch.testing.assert_close(torch.stack([b.amax(-1) for b in bins], -1), high)
    keypoints = stage.decode(cells)
    assert bool(((keypoints >= low.unsqueeze(1)) & (keypoints <= high.unsqueeze(1))).all())


@pytest.mark.parametrize(
    ("spec", "moved"),
    [(DCC(num_bins=(10, 14)), True), (DCC(num_bins=(10, 14), box_gradient=False), False), (BoxHeatmap(), False)],
    ids=["dcc", "dcc without", "box heatmap"],
)
def test_whether_losses_move_the_boxes(spec: Coords, moved: bool) -> None:
    cells = some_cells(3)
    spec.build(6, 5)(cells).keypoints.square().sum().backward()
    assert (cells.boxes.grad is not None) == moved
