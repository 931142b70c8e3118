"""A coarse 2-D heatmap on the predicted box: one linear layer, no idea of RTMO or of regression.

A frozen trunk favours the kind of stage it was trained with. This one is trained with neither regression nor
classification along axes, so trunks made with it take no side when the two are compared. The key point is the
expected position (soft-argmax; arXiv 1711.08229), which is finer than the grid. Cost: D * K * rows * columns
multiply-adds per kept person, 0.5 million for D = 256 and 17 key points at the default grid.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

import torch
from torch import Tensor, nn

from workbench.components.coords.layers import axis, exact
from workbench.core.errors import Refused
from workbench.slots import CoordinateStage, Coords
from workbench.tensors import Cells, Coordinates


@final
@dataclass(frozen=True, kw_only=True)
class BoxHeatmap(Coords):
    """Linear 2-D heatmaps. Boxes are detached: its losses do not move them."""

    offers: ClassVar[frozenset[str]] = frozenset({"grid", "teacher"})

    grid: tuple[int, int] = (12, 9)  # rows, columns
    padding: float = 1.25  # the grid reaches over this many times the box

    def check(self) -> None:
        if min(self.grid) < 2:
            raise Refused(f"BoxHeatmap.grid: {self.grid} given; rows and columns must be at least 2")
        if self.padding <= 0:
            raise Refused(f"BoxHeatmap.padding: {self.padding} given; it is a factor on the box and must be positive")

    def build(self, pose_channels: int, keypoints: int) -> CoordinateStage:
        return _BoxHeatmap(self, pose_channels, keypoints)


class _BoxHeatmap(CoordinateStage):
    places: Tensor  # (rows * columns, 2): x, y in boxes from the centre, row-major

    def __init__(self, spec: BoxHeatmap, pose_channels: int, keypoints: int) -> None:
        super().__init__()
        y, x = (torch.linspace(-0.5, 0.5, n) * spec.padding for n in spec.grid)
        self.register_buffer("places", torch.cartesian_prod(y, x).flip(-1), persistent=False)
        self.heatmap_fc = nn.Linear(pose_channels, keypoints * len(self.places))

    def forward(self, cells: Cells) -> Coordinates:
        logits = self.heatmap_fc(cells.pose).unflatten(1, (-1, len(self.places)))  # (P, K, rows * columns)
        with exact(cells.points):
            first, last = cells.boxes.detach().float().chunk(2, -1)
            bins = ((first + last) / 2).unsqueeze(1) + self.places * (last - first).unsqueeze(1)
            grid = axis(logits.float(), bins)
            return Coordinates(keypoints=grid.prob @ bins, grid=grid)
