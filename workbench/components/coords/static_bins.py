"""Fixed bins over the whole input: the classifying counterpart of direct regression, without any idea of the DCC.

Source: SimCC (arXiv 2107.03332), the floor of RTMO's ablation of the coordinate stage. It classifies each axis of each
key point with one linear layer that all key points share. Cost: 1.5 million multiply-adds per kept person at the
default size.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

import torch
from torch import Tensor, nn

from workbench.components.coords.layers import PersonNorm, SinePosition, axis, exact, expectation, uncertainty
from workbench.core.errors import Refused
from workbench.slots import CoordinateStage, Coords
from workbench.tensors import Axis, Cells, Coordinates

POSITION_CHANNELS = 128


@final
@dataclass(frozen=True, kw_only=True)
class StaticBins(Coords):
    """One linear classifier per axis over bins from edge to edge of the input."""

    offers: ClassVar[frozenset[str]] = frozenset({"sigma", "axes", "teacher"})

    num_bins: tuple[int, int] = (192, 256)  # x, y
    feat_channels: int = 128  # of a key-point token
    # A convolutional trunk says the same of a person wherever the person stands, so the bins of the whole input can
    # not be told apart without the cell's position: it is added to every token. False asks the pose vector alone.
    cell_position: bool = True

    def check(self) -> None:
        if min(self.num_bins) < 2:
            raise Refused(f"StaticBins.num_bins: {self.num_bins} given; an axis needs at least 2 bins")

    def build(self, pose_channels: int, keypoints: int) -> CoordinateStage:
        return _StaticBins(self, pose_channels, keypoints)


class _StaticBins(CoordinateStage):
    def __init__(self, spec: StaticBins, pose_channels: int, keypoints: int) -> None:
        super().__init__()
        self.spec, feat = spec, spec.feat_channels
        self.pose_to_kpts = nn.Sequential(nn.Linear(pose_channels, feat * keypoints), PersonNorm(feat * keypoints))
        self.x_fc, self.y_fc = (nn.Linear(feat, n) for n in spec.num_bins)
        self.sigma_fc = uncertainty(pose_channels, keypoints)
        if spec.cell_position:
            self.spe = SinePosition(POSITION_CHANNELS)
            self.position_fc = nn.Linear(2 * POSITION_CHANNELS, feat)

    def forward(self, cells: Cells) -> Coordinates:
        x, y = self._axes(cells)
        with exact(cells.points):
            keypoints = torch.stack((expectation(x), expectation(y)), -1)
            return Coordinates(keypoints=keypoints, sigma=self.sigma_fc(cells.pose.float()), x=x, y=y)

    def decode(self, cells: Cells) -> Tensor:
        x, y = self._axes(cells)
        with exact(cells.points):
            return torch.stack((expectation(x), expectation(y)), -1)

    def _axes(self, cells: Cells) -> tuple[Axis, Axis]:
        tokens = self.pose_to_kpts(cells.pose).unflatten(1, (-1, self.spec.feat_channels))  # (P, K, feat)
        if self.spec.cell_position:
            tokens = tokens + self.position_fc(self.spe(cells.points.float()).flatten(1)).unsqueeze(1)
        height, width = cells.canvas
        with exact(cells.points):
            return _heatmap(self.x_fc, tokens.float(), width), _heatmap(self.y_fc, tokens.float(), height)


def _heatmap(fc: nn.Linear, tokens: Tensor, end: int) -> Axis:
    bins = torch.linspace(0, end, fc.out_features, device=tokens.device)
    return axis(fc(tokens), bins.expand(len(tokens), -1))
