"""CSPDarknet, the backbone of YOLOX (arXiv 2107.08430) and of RTMO (arXiv 2312.07526).

Focus stem, four stages of one strided convolution and one CSP layer each, pyramid pooling in the last.
4.21 M parameters and 5.48 G multiply-adds at 640 x 640 for width 0.5, depth 0.33.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, final

from torch import Tensor, nn

from workbench.components.backbones.registration import PREFIX, offer, timm_config, timm_network
from workbench.components.blocks import SPP, ConvUnit, CSPLayer, FocusStem
from workbench.core.errors import Refused
from workbench.core.weights import load_into, read_weights
from workbench.slots import Backbone, Pyramid
from workbench.tensors import Level

_STAGES = ((128, 3), (256, 9), (512, 9), (1024, 3))  # channels and bottlenecks at width 1, depth 1
CSP_SIZES = {"t": (0.375, 0.33), "s": (0.5, 0.33), "m": (0.75, 0.67), "l": (1.0, 1.0)}  # width, depth
_MMDET = "https://download.openmmlab.com/mmdetection/v2.0/yolox"
PUBLISHED = {  # YOLOX on COCO, the start of the published RTMO configurations
    "t": f"{_MMDET}/yolox_tiny_8x8_300e_coco/yolox_tiny_8x8_300e_coco_20211124_171234-b4047906.pth",
    "s": f"{_MMDET}/yolox_s_8x8_300e_coco/yolox_s_8x8_300e_coco_20211121_095711-4592a793.pth",
    "m": "https://download.openmmlab.com/mmpose/v1/pretrained_models/yolox_m_8x8_300e_coco_20230829.pth",
    "l": f"{_MMDET}/yolox_l_8x8_300e_coco/yolox_l_8x8_300e_coco_20211126_140236-d3bd2b23.pth",
}


@final
@dataclass(frozen=True, kw_only=True)
class CSPDarknet(Backbone):
    """Published sizes (width, depth): t 0.375, 0.33; s 0.5, 0.33; m 0.75, 0.67; l 1, 1. Input as it is, BGR 0..255.

    `use_pretrained`: True downloads the YOLOX weights (COCO boxes) with which RTMO starts, a path or an address reads a
    checkpoint whose names are the published ones, with or without `backbone.` before them (YOLOX, RTMO).
    """

    width: float = 0.5
    depth: float = 0.33
    use_pretrained: bool | str = False

    def check(self) -> None:
        if int(64 * self.width) < 2 or self.depth < 0:
            raise Refused(f"CSPDarknet: width {self.width}, depth {self.depth}; expected width >= 1/32, depth >= 0")
        if self.use_pretrained is True and self._size is None:
            raise Refused(
                f"CSPDarknet.use_pretrained: no weights for width {self.width}, depth {self.depth} are published; "
                f"pass a file or one of (width, depth) {list(CSP_SIZES.values())}"
            )

    @property
    def _size(self) -> str | None:
        return {v: k for k, v in CSP_SIZES.items()}.get((self.width, self.depth))

    def build(self) -> Pyramid:
        module = _CSPDarknet(self.width, self.depth)
        source = self.use_pretrained
        if source is True:
            assert self._size is not None  # `check` saw to it
            source = PUBLISHED[self._size]
        if isinstance(source, str):
            load_into(module, read_weights(source), source, prefix=PREFIX)
        return module


class _CSPDarknet(Pyramid):
    def __init__(self, width: float, depth: float, in_chans: int = 3) -> None:
        super().__init__()
        channels = [int(c * width) for c, _ in _STAGES]
        blocks = [max(round(n * depth), 1) for _, n in _STAGES]
        stem = int(64 * width)
        self.stem = FocusStem(in_chans, stem)
        self.stage1 = _stage(stem, channels[0], blocks[0])
        self.stage2 = _stage(channels[0], channels[1], blocks[1])
        self.stage3 = _stage(channels[1], channels[2], blocks[2])
        self.stage4 = _stage(channels[2], channels[3], blocks[3], last=True)
        self.levels = tuple(Level(c, s) for c, s in zip(channels[1:], (8, 16, 32), strict=True))
        self.feature_info = [
            {"num_chs": c, "reduction": 2**i, "module": name}
            for i, (c, name) in enumerate(
                zip((stem, *channels), ("stem", "stage1", "stage2", "stage3", "stage4"), strict=True), start=1
            )
        ]

    def forward(self, images: Tensor) -> list[Tensor]:
        c3 = self.stage2(self.stage1(self.stem(images)))
        c4 = self.stage3(c3)
        return [c3, c4, self.stage4(c4)]


def _stage(inputs: int, outputs: int, blocks: int, last: bool = False) -> nn.Sequential:
    pooling = [SPP(outputs)] if last else []
    return nn.Sequential(
        ConvUnit(inputs, outputs, 3, 2), *pooling, CSPLayer(outputs, outputs, blocks, identity=not last)
    )


def _registered(size: str, pretrained: bool, **kwargs: Any) -> Any:
    width, depth = CSP_SIZES[size]
    options = {"width": width, "depth": depth, **kwargs}
    return timm_network(_CSPDarknet, f"csp_darknet_{size}", pretrained, options)


def csp_darknet_t(pretrained: bool = False, **kwargs: Any) -> Any:
    """CSPDarknet of YOLOX-tiny; without `features_only` its output is the list of maps at strides 8, 16, 32."""
    return _registered("t", pretrained, **kwargs)


def csp_darknet_s(pretrained: bool = False, **kwargs: Any) -> Any:
    """CSPDarknet of YOLOX-s; output as of `csp_darknet_t`."""
    return _registered("s", pretrained, **kwargs)


def csp_darknet_m(pretrained: bool = False, **kwargs: Any) -> Any:
    """CSPDarknet of YOLOX-m; output as of `csp_darknet_t`."""
    return _registered("m", pretrained, **kwargs)


def csp_darknet_l(pretrained: bool = False, **kwargs: Any) -> Any:
    """CSPDarknet of YOLOX-l; output as of `csp_darknet_t`."""
    return _registered("l", pretrained, **kwargs)


offer(
    {f"csp_darknet_{size}": timm_config(PUBLISHED[size]) for size in CSP_SIZES},
    *(csp_darknet_t, csp_darknet_s, csp_darknet_m, csp_darknet_l),
)
