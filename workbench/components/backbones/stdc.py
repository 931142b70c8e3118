"""STDC, the short-term dense concatenate network (arXiv 2104.13188): cheap at high resolution.

Each block concatenates four ever thinner convolutions. Parameters of the trunk: nano 1.33 M, 1 5.32 M, 2 9.35 M.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, final

import torch
from torch import Tensor, nn

from workbench.components.backbones.registration import PREFIX, offer, timm_config, timm_network
from workbench.components.blocks import TORCH, ConvUnit
from workbench.core.errors import Refused
from workbench.core.weights import load_into, read_weights
from workbench.slots import Backbone, Pyramid
from workbench.tensors import Level

_SIZES = {"nano": (32, (2, 2, 2)), "1": (64, (2, 2, 2)), "2": (64, (4, 5, 3))}  # base channels, blocks per stage


@final
@dataclass(frozen=True, kw_only=True)
class STDC(Backbone):
    """Channels 4, 8 and 16 times the base (nano 32, others 64). Input as it is, BGR 0..255.

    `use_pretrained` is the path of a checkpoint with this module's names; nobody offers one for download.
    """

    size: Literal["nano", "1", "2"] = "1"
    use_pretrained: bool | str = False

    def check(self) -> None:
        if self.use_pretrained is True:
            raise Refused("STDC.use_pretrained=True: there are no weights to download; pass the path of a checkpoint")

    def build(self) -> Pyramid:
        module = _STDC(*_SIZES[self.size])
        if isinstance(self.use_pretrained, str):
            load_into(module, read_weights(self.use_pretrained), self.use_pretrained, prefix=PREFIX)
        return module


class _STDC(Pyramid):
    def __init__(self, base: int, blocks: tuple[int, ...], in_chans: int = 3) -> None:
        super().__init__()
        widths = (base // 2, base, 4 * base, 8 * base, 16 * base)
        self.stem1 = _unit(in_chans, widths[0], 3, 2)
        self.stem2 = _unit(widths[0], widths[1], 3, 2)
        self.stage1 = _stage(widths[1], widths[2], blocks[0])
        self.stage2 = _stage(widths[2], widths[3], blocks[1])
        self.stage3 = _stage(widths[3], widths[4], blocks[2])
        self.levels = tuple(Level(c, s) for c, s in zip(widths[2:], (8, 16, 32), strict=True))
        names = ("stem1", "stem2", "stage1", "stage2", "stage3")
        self.feature_info = [
            {"num_chs": c, "reduction": 2**i, "module": name}
            for i, (c, name) in enumerate(zip(widths, names, strict=True), start=1)
        ]

    def forward(self, images: Tensor) -> list[Tensor]:
        c3 = self.stage1(self.stem2(self.stem1(images)))
        c4 = self.stage2(c3)
        return [c3, c4, self.stage3(c4)]


class _Block(nn.Module):
    """Four convolutions of 1/2, 1/4, 1/8 and 1/8 of the channels, concatenated. Strided: depthwise after the first,
    whose own part is averaged down."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        half, quarter, eighth = outputs // 2, outputs // 4, outputs // 8
        self.conv1 = _unit(inputs, half, 1)
        self.down = ConvUnit(half, half, 3, stride, groups=half, norm=TORCH, act=None) if stride > 1 else nn.Identity()
        self.pool = nn.AvgPool2d(3, stride, 1) if stride > 1 else nn.Identity()
        self.conv2 = _unit(half, quarter, 3)
        self.conv3 = _unit(quarter, eighth, 3)
        self.conv4 = _unit(eighth, eighth, 3)

    def forward(self, x: Tensor) -> Tensor:
        one = self.conv1(x)
        two = self.conv2(self.down(one))
        three = self.conv3(two)
        return torch.cat((self.pool(one), two, three, self.conv4(three)), 1)


def _unit(inputs: int, outputs: int, kernel: int, stride: int = 1) -> ConvUnit:
    return ConvUnit(inputs, outputs, kernel, stride, norm=TORCH, act=partial(nn.ReLU, inplace=True))


def _stage(inputs: int, outputs: int, blocks: int) -> nn.Sequential:
    return nn.Sequential(_Block(inputs, outputs, 2), *(_Block(outputs, outputs, 1) for _ in range(blocks - 1)))


def _registered(size: str, pretrained: bool, **kwargs: Any) -> Any:
    base, blocks = _SIZES[size]
    options = {"base": base, "blocks": blocks, **kwargs}
    return timm_network(_STDC, f"stdc_{size}", pretrained, options)


def stdc_nano(pretrained: bool = False, **kwargs: Any) -> Any:
    """STDC of half width; without `features_only` its output is the list of maps at strides 8, 16, 32."""
    return _registered("nano", pretrained, **kwargs)


def stdc_1(pretrained: bool = False, **kwargs: Any) -> Any:
    """STDC1; output as of `stdc_nano`."""
    return _registered("1", pretrained, **kwargs)


def stdc_2(pretrained: bool = False, **kwargs: Any) -> Any:
    """STDC2; output as of `stdc_nano`."""
    return _registered("2", pretrained, **kwargs)


offer({f"stdc_{size}": timm_config() for size in _SIZES}, stdc_nano, stdc_1, stdc_2)
