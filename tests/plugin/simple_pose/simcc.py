"""SimCC (arXiv 2107.03332) on the predicted box: one linear layer from a cell's pose vector to heatmaps of x and y.

Cost: channels of the pose vector x key points x bins of both axes, in multiply-adds per person.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

import torch
from torch import Tensor, nn

from workbench.components.coords.layers import axis, exact, expectation, uncertainty
from workbench.slots import CoordinateStage, Coords, Refused
from workbench.tensors import Axis, Cells, Coordinates


@final
@dataclass(frozen=True, kw_only=True)
class SimCC(Coords):
    """Bins lie on the box times `padding`, and the expected bin is the key point. Taught by what teaches a DCC."""

    offers: ClassVar[frozenset[str]] = frozenset({"sigma", "axes", "teacher"})

    num_bins: tuple[int, int] = (48, 64)  # x, y
    padding: float = 1.25

    def check(self) -> None:
        if min(self.num_bins) < 2 or self.padding <= 0:
            raise Refused(f"SimCC: num_bins {self.num_bins}, padding {self.padding}; expected 2 bins or more, and > 0")

    def build(self, pose_channels: int, keypoints: int) -> CoordinateStage:
        return _SimCC(self, pose_channels, keypoints)


class _SimCC(CoordinateStage):
    def __init__(self, spec: SimCC, pose_channels: int, keypoints: int) -> None:
        super().__init__()
        self.padding = spec.padding
        self.x, self.y = (nn.Linear(pose_channels, keypoints * bins) for bins in spec.num_bins)
        self.sigma = uncertainty(pose_channels, keypoints)
        self.keypoints = keypoints

    def forward(self, cells: Cells) -> Coordinates:
        with exact(cells.pose):
            x, y = self._axes(cells)
            keypoints = torch.stack((expectation(x), expectation(y)), -1)
            return Coordinates(keypoints=keypoints, sigma=self.sigma(cells.pose.float()), x=x, y=y)

    def decode(self, cells: Cells) -> Tensor:
        """As `forward`, without uncertainty."""
        with exact(cells.pose):
            return torch.stack([expectation(one) for one in self._axes(cells)], -1)

    def _axes(self, cells: Cells) -> tuple[Axis, Axis]:
        """Heatmaps (P, K, W) of x and y."""
        first, last = cells.boxes.float().chunk(2, -1)
        centre, size = (first + last) / 2, (last - first) * self.padding
        found: list[Axis] = []
        for i, layer in enumerate((self.x, self.y)):
            logits = layer(cells.pose.float()).unflatten(1, (self.keypoints, -1))
            places = torch.linspace(-0.5, 0.5, logits.shape[-1], device=logits.device)
            found.append(axis(logits, centre[:, i : i + 1] + size[:, i : i + 1] * places))
        return found[0], found[1]
