"""Coordinate stages of every kind, small, and cells for them."""

from __future__ import annotations

from workbench.components.coords.box_heatmap import BoxHeatmap
from workbench.components.coords.dcc import DCC
from workbench.components.coords.regression import Regression
from workbench.slots import Coords
from workbench.tensors import Cells
from workbench.testing import random_cells

STAGES: dict[str, Coords] = {
    "dcc": DCC(num_bins=(10, 14), feat_channels_dcc=16, spe_channels=12, gau_s=8),
    "dcc static allocation": DCC(num_bins=(10, 14), feat_channels_dcc=16, dynamic_allocation=False, gau_s=8),
    "dcc static encoding": DCC(num_bins=(10, 14), feat_channels_dcc=16, dynamic_encoding=False, gau_s=8),
    "dcc all static": DCC(
        num_bins=(10, 14),
        feat_channels_dcc=16,
        dynamic_allocation=False,
        dynamic_encoding=False,
        cell_position=True,
        gau=False,
    ),
    "dcc fixes": DCC(num_bins=(10, 14), feat_channels_dcc=16, cell_position=True, box_gradient=False, logit_scale=0.1),
    "regression": Regression(),
    "box heatmap": BoxHeatmap(grid=(5, 3)),
}


def some_cells(p: int, k: int = 5, channels: int = 6, canvas: tuple[int, int] = (96, 160)) -> Cells:
    """Cells of few channels and key points."""
    return random_cells(p, k, channels, canvas)
