"""Coordinate stages that learn beside the network's own one, on pose vectors and boxes that they do not move.

So several stages are warmed up on one network, under the same eyes, and none shapes it: what is trained from there on
with one of them differs from the others by that stage alone. In use only the own stage answers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import final

import torch
from torch import Tensor, nn

from workbench.components.coords.dcc import DCC
from workbench.slots import CoordinateStage, Coords
from workbench.tensors import Cells, Coordinates


@final
@dataclass(frozen=True, kw_only=True)
class OnlineProbes(Coords):
    """`own` is the network's stage, `probes` are those that learn beside it by the loss `OnlineProbeLoss`."""

    own: Coords = DCC()
    probes: tuple[Coords, ...] = (DCC(),)

    @property
    def offers(self) -> frozenset[str]:  # pyright: ignore[reportIncompatibleVariableOverride]
        return self.own.offers | {"probes"}

    @property
    def reads_proxy(self) -> bool:  # pyright: ignore[reportIncompatibleVariableOverride]
        return self.own.reads_proxy

    def build(self, pose_channels: int, keypoints: int) -> CoordinateStage:
        return _OnlineProbes(self, pose_channels, keypoints)

    def published_extra(self, keypoints: int) -> int:
        return self.own.published_extra(keypoints)


class _OnlineProbes(CoordinateStage):
    def __init__(self, spec: OnlineProbes, pose_channels: int, keypoints: int) -> None:
        super().__init__()
        first = torch.get_rng_state()
        self.own = spec.own.build(pose_channels, keypoints)
        self.probes = nn.ModuleList()
        for probe in spec.probes:
            torch.set_rng_state(first)  # every stage begins as it would alone
            self.probes.append(probe.build(pose_channels, keypoints))

    @property
    def apart(self) -> Sequence[nn.Module]:
        return list(self.probes)

    def forward(self, cells: Cells) -> Coordinates:
        fixed = replace(cells, pose=cells.pose.detach(), boxes=cells.boxes.detach(), proxy=None)
        return replace(self.own(cells), probes=tuple(probe(fixed) for probe in self.probes))

    def decode(self, cells: Cells) -> Tensor:
        return self.own.decode(cells)
