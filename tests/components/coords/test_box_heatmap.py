"""The grid of the box heatmap."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from tests.components.coords.stages import some_cells
from workbench.components.coords.box_heatmap import BoxHeatmap
from workbench.core.errors import Refused


def test_rows_of_the_grid_run_down_the_image() -> None:
    stage = BoxHeatmap(grid=(4, 3), padding=1.0).build(6, 1)
    cells = some_cells(1, 1)
    cells.boxes = torch.tensor([[10.0, 20.0, 30.0, 80.0]])
    places = stage(cells).grid.bins.view(4, 3, 2)
    torch.testing.assert_close(places[:, 0, 1], torch.tensor([20.0, 40.0, 60.0, 80.0]))
    torch.testing.assert_close(places[0, :, 0], torch.tensor([10.0, 20.0, 30.0]))


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("grid", (1, 9), "at least 2"),
        ("grid", (0, 0), "at least 2"),
        ("padding", -1.0, "must be positive"),
    ],
)
def test_a_value_out_of_range_is_refused(name: str, value: Any, says: str) -> None:
    with pytest.raises(Refused, match=rf"BoxHeatmap.{name}: .*{says}"):
        BoxHeatmap(**{name: value})
