"""The feature pyramid network (arXiv 1612.03144): each map is a projection plus the next coarser one, smoothed.

Cost: a 1x1 and a 3x3 convolution per level.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import torch.nn.functional as F
from torch import Tensor, nn

from workbench.slots import Neck, Pyramid, Refused
from workbench.tensors import Level, Levels


@final
@dataclass(frozen=True, kw_only=True)
class FPN(Neck):
    """The `keep` coarsest levels, with `channels` each."""

    channels: int = 128
    keep: int = 2

    def check(self) -> None:
        if self.channels < 2 or self.keep < 1:
            raise Refused(f"FPN: channels {self.channels}, keep {self.keep}; expected channels >= 2, keep >= 1")

    def build(self, levels: Levels) -> Pyramid:
        if self.keep > len(levels):
            raise Refused(f"FPN.keep: {self.keep}; expected at most {len(levels)}, the levels that there are")
        return _FPN(self, levels[-self.keep :])


class _FPN(Pyramid):
    def __init__(self, spec: FPN, kept: Levels) -> None:
        super().__init__()
        self.levels = tuple(Level(spec.channels, level.stride) for level in kept)
        self.lateral = nn.ModuleList(nn.Conv2d(level.channels, spec.channels, 1) for level in kept)
        self.smooth = nn.ModuleList(nn.Conv2d(spec.channels, spec.channels, 3, padding=1) for _ in kept)

    def forward(self, feats: list[Tensor]) -> list[Tensor]:
        maps = [layer(x) for layer, x in zip(self.lateral, feats[-len(self.levels) :], strict=True)]
        for i in range(len(maps) - 2, -1, -1):  # from coarse to fine
            times = self.levels[i + 1].stride / self.levels[i].stride
            maps[i] = maps[i] + F.interpolate(maps[i + 1], scale_factor=times)
        return [layer(x) for layer, x in zip(self.smooth, maps, strict=True)]
