"""The heatmap loss: its target, and where it is least."""

from __future__ import annotations

import pytest
import torch

from tests.components.losses.fixed import Fixed
from tests.recorded import close
from workbench.components.losses import heatmap
from workbench.core.errors import Refused


def test_grid_gaussian_is_separable_and_follows_the_cells() -> None:
    x, y = torch.linspace(0, 40, 5), torch.linspace(100, 160, 4)  # cells of 10 x 20 px
    bins = torch.cartesian_prod(y, x).flip(-1)[None]
    truth = torch.tensor([[[20.0, 120.0], [44.0, 169.0], [46.0, 120.0], [20.0, 171.0]]])
    target, inside = heatmap.gaussian_grid(bins, truth, width=0.7)
    assert inside.tolist() == [[True, True, False, False]]
    along = (-((torch.arange(5) - 2.0) ** 2) / (2 * 0.49)).softmax(0)
    down = (-((torch.arange(4) - 1.0) ** 2) / (2 * 0.49)).softmax(0)
    close(target[0, 0], torch.outer(down, along).flatten())


def test_heatmap_is_less_at_its_target() -> None:
    matched = Fixed(2)
    grid = matched.coords.grid
    assert grid is not None
    before = heatmap.Heatmap()(matched)
    grid.logits = heatmap.gaussian_grid(grid.bins, matched.gt_keypoints, 0.7)[0].log()
    assert heatmap.Heatmap()(matched) < before


@pytest.mark.parametrize("width", [0.0, -1.0])
def test_a_width_out_of_range_is_refused(width: float) -> None:
    with pytest.raises(Refused, match=r"width.*above 0"):
        heatmap.Heatmap(width=width)
