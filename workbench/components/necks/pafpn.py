"""The path aggregation pyramid of YOLOX (arXiv 2107.08430): top-down and bottom-up, CSP layers, no attention."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor, nn

from workbench.components.blocks import ConvUnit, CSPLayer, doubled
from workbench.core.errors import Refused
from workbench.slots import Neck, Pyramid
from workbench.tensors import Level, Levels

_STRIDES = (8, 16, 32)
_CHANNELS = (256, 512, 1024)  # at width 1


@final
@dataclass(frozen=True, kw_only=True)
class PAFPN(Neck):
    """Maps at strides 8, 16 and 32 to maps of `out_channels` at `strides`.

    `width` scales the inner channels (256, 512, 1024), `depth` the three bottlenecks of each CSP layer. With a
    CSPDarknet of the same width this is YOLOX's own; its `out_channels` are 256 times the width.
    """

    width: float = 0.5
    depth: float = 0.33
    out_channels: int = 256
    strides: tuple[int, ...] = (16, 32)

    def check(self) -> None:
        if int(256 * self.width) < 2 or self.depth < 0 or self.out_channels < 1:
            raise Refused(
                f"PAFPN: width {self.width}, depth {self.depth}, out_channels {self.out_channels}; "
                "expected width >= 1/128, depth >= 0, out_channels >= 1"
            )
        if not self.strides or list(self.strides) != sorted(set(self.strides) & set(_STRIDES)):
            raise Refused(f"PAFPN.strides: {self.strides}; expected some of {_STRIDES}, ascending")

    def build(self, levels: Levels) -> Pyramid:
        if tuple(level.stride for level in levels) != _STRIDES:
            raise Refused(f"PAFPN: given maps at strides {[level.stride for level in levels]}; expected {_STRIDES}")
        return _PAFPN(self, levels)


class _PAFPN(Pyramid):
    def __init__(self, spec: PAFPN, levels: Levels) -> None:
        super().__init__()
        given = [level.channels for level in levels]
        inner = [int(c * spec.width) for c in _CHANNELS]
        blocks = round(3 * spec.depth)
        up = _STRIDES.index(spec.strides[-1])  # steps of the bottom-up path
        self.levels = tuple(Level(spec.out_channels, s) for s in spec.strides)
        self.kept = tuple(_STRIDES.index(s) for s in spec.strides)

        # Names as published; the first two lists run from coarse to fine.
        self.reduce_layers = nn.ModuleList([ConvUnit(given[2], inner[1], 1), ConvUnit(inner[1], inner[0], 1)])
        self.top_down_blocks = nn.ModuleList(
            CSPLayer(inner[i] + given[i], inner[i], blocks, identity=False) for i in (1, 0)
        )
        self.downsamples = nn.ModuleList(ConvUnit(inner[i], inner[i], 3, 2) for i in range(up))
        self.bottom_up_blocks = nn.ModuleList(
            CSPLayer(2 * inner[i], inner[i + 1], blocks, identity=False) for i in range(up)
        )
        self.out_convs = nn.ModuleList(ConvUnit(inner[i], spec.out_channels, 1) for i in self.kept)

    def forward(self, feats: list[Tensor]) -> list[Tensor]:
        c3, c4, c5 = feats
        inner5 = self.reduce_layers[0](c5)
        inner4 = self.reduce_layers[1](self.top_down_blocks[0](torch.cat((doubled(inner5), c4), 1)))
        outs = [self.top_down_blocks[1](torch.cat((doubled(inner4), c3), 1))]
        for down, block, inner in zip(self.downsamples, self.bottom_up_blocks, (inner4, inner5), strict=False):
            outs.append(block(torch.cat((down(outs[-1]), inner), 1)))
        return [conv(outs[i]) for conv, i in zip(self.out_convs, self.kept, strict=True)]
