"""The contract that every coordinate stage keeps, and which boxes bins are on."""

from __future__ import annotations

import pytest
import torch

from tests.components.coords.stages import STAGES, some_cells
from workbench.components.coords.box_heatmap import BoxHeatmap
from workbench.components.coords.dcc import DCC
from workbench.slots import Coords
from workbench.testing import SPEC_CONTRACTS, contract_tests

test_contracts = contract_tests(*STAGES.values(), only=SPEC_CONTRACTS)


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
