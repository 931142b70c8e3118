"""Any convolutional network of timm as a backbone, its maps found by stride.

Which index of a network has stride 8 differs (2 in resnet18, 1 in convnext_tiny), so no index is ever named here. Which
networks fit is listed in `reports/data/timm_models.csv`, by `benchmarks/timm.py`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import version
from typing import Any, final

import torch
from torch import Tensor, nn

from workbench.components.batch_norm import BatchNorm2d
from workbench.core.errors import Refused, one_line
from workbench.core.weights import as_tensors, fetched, read_weights
from workbench.slots import Backbone, Pyramid
from workbench.tensors import Level, Levels

_STRIDES = (8, 16, 32)
_SIDES = ((96, 160), (128, 192))  # height and width of the images that are measured: odd and even multiples of 32
_EXPECTED = f"with strides {', '.join(map(str, _STRIDES))} for all sides that are multiples of 32"
_Taps = tuple[tuple[int, ...], Levels]
# What `read_taps` finds in those that are named here and in the studies, with this version of timm. To plan jobs it is
# enough, and timm takes twice as long to import as torch.
TIMM_VERSION = "1.0.31"
TAPPED_CHANNELS = {
    "resnet18": (128, 256, 512),
    "test_resnet": (48, 192, 96),
    "mobilenetv4_conv_small": (64, 96, 960),
    "ghostnetv2_100": (40, 80, 160),
}


@final
@dataclass(frozen=True, kw_only=True)
class TimmBackbone(Backbone):
    """`name` as in `timm.list_models()`, with or without the tag of its weights.

    Our images are BGR 0..255; the module turns them into RGB with the mean and deviation that timm states for the
    network, with and without pretrained weights, so that `use_pretrained` changes nothing but the weights.
    `use_pretrained`: True downloads timm's weights, a path reads a checkpoint with timm's names.
    """

    name: str = "resnet18"
    use_pretrained: bool | str = False

    def check(self) -> None:
        taps_of(self.name)

    def build(self) -> Pyramid:
        indices, levels = taps_of(self.name)
        net = _created(self.name, indices, self.use_pretrained)
        return _Timm(net, levels)


class _Timm(Pyramid):
    scale: Tensor
    shift: Tensor

    def __init__(self, net: nn.Module, levels: Levels) -> None:
        super().__init__()
        self.levels = levels
        self.net = net
        import timm.layers.norm_act

        for part in net.modules():
            if type(part) is timm.layers.norm_act.BatchNormAct2d:
                part.__class__ = _NormAct
        cfg: Any = net.pretrained_cfg
        # x / 255 normalised by mean and deviation is x * scale + shift.
        deviation, mean = (torch.tensor(cfg[k], dtype=torch.float32).view(1, 3, 1, 1) for k in ("std", "mean"))
        self.register_buffer("scale", 1 / (255 * deviation), persistent=False)
        self.register_buffer("shift", -mean / deviation, persistent=False)

    def forward(self, images: Tensor) -> list[Tensor]:
        return self.net(torch.addcmul(self.shift, images.flip(1), self.scale))


class _NormAct(BatchNorm2d):
    """timm's batch norm with an activation, exact as ours is."""

    def forward(self, input: Tensor) -> Tensor:
        norm: Any = self
        return norm.act(norm.drop(super().forward(input)))


@lru_cache
def taps_of(name: str) -> _Taps:
    """As `read_taps`, without timm where they are known."""
    if name not in TAPPED_CHANNELS or version("timm") != TIMM_VERSION:
        return read_taps(name)
    return (2, 3, 4), tuple(Level(c, s) for c, s in zip(TAPPED_CHANNELS[name], _STRIDES, strict=True))


def timm_names() -> list[str]:
    """`timm.list_models()` without our own networks, which are offered to timm."""
    import timm

    return [name for name in timm.list_models() if not _is_ours(name)]


def _is_ours(name: str) -> bool:
    import timm

    return timm.models.model_entrypoint(name).__module__.startswith("workbench.")


def read_taps(name: str) -> _Taps:
    """Indices and levels of the maps at strides 8, 16 and 32, measured on images without memory.

    What timm announces is not asked: of some networks it is not what they give.

    Raises:
        Refused: no such network, or it gives no such maps of images of any sides that are multiples of 32.
    """
    import timm

    base = name.partition(".")[0]
    if not timm.is_model(base):
        near = timm.list_models(f"*{base[:6]}*")[:5]
        raise Refused(f"TimmBackbone.name: timm has no {name!r}; see timm.list_models(), for instance {near}")
    if _is_ours(base):
        raise Refused(f"TimmBackbone.name: {name!r} is ours and takes BGR; use CSPDarknet or STDC")
    every = levels_by_index(name, _SIDES[:1])
    last = {level.stride: index for index, level in every.items() if level is not None}
    if not set(_STRIDES) <= set(last):
        raise Refused(
            f"TimmBackbone.name: {name!r} gives {_shown(every)}; expected a convolutional network {_EXPECTED}"
        )
    indices = tuple(last[stride] for stride in _STRIDES)
    chosen = levels_by_index(name, out_indices=indices)
    levels = tuple(level for level in chosen.values() if level is not None)
    if tuple(level.stride for level in levels) != _STRIDES:
        raise Refused(f"TimmBackbone.name: {name!r} alone gives {_shown(chosen)}; expected {_EXPECTED}; use another")
    return indices, levels


def levels_by_index(name: str, images: Sequence[tuple[int, int]] = _SIDES, **options: Any) -> dict[int, Level | None]:
    """Channels and stride of each map that the network gives; None where images of these sides do not agree on them.

    Raises:
        Refused: it cannot be made to give maps, or they are not channels first, or it fails on such images.
    """
    import timm

    try:
        with torch.device("meta"):
            net: Any = timm.create_model(name, features_only=True, **options).eval()
    except Exception as error:  # each network has its own way to say that it gives no maps
        raise Refused(
            f"TimmBackbone.name: {name!r} cannot give feature maps ({one_line(error)}); use another"
        ) from error
    if str(getattr(net, "output_fmt", "NCHW")).endswith("NHWC"):
        raise Refused(f"TimmBackbone.name: {name!r} gives channels last; expected a convolutional network {_EXPECTED}")
    try:
        with torch.device("meta"), torch.no_grad():
            seen = [[_level(found, sides) for found in net(torch.empty(1, 3, *sides))] for sides in images]
    except Exception as error:  # and to say that it takes images of one size alone
        raise Refused(
            f"TimmBackbone.name: {name!r} does not take images of {_at(images)} pixels ({one_line(error)}); expected a "
            f"convolutional network {_EXPECTED}"
        ) from error
    alike = (several[0] if len(set(several)) == 1 else None for several in zip(*seen, strict=True))
    return dict(zip(net.feature_info.out_indices, alike, strict=True))


def _level(found: Tensor, sides: tuple[int, int]) -> Level | None:
    """Of one map (1, C, H / s, W / s) of an image of these sides; None where there is no such s."""
    if found.ndim != 4 or 0 in found.shape:
        return None
    _, channels, *cells = found.shape
    stride = sides[0] // cells[0]
    return Level(channels, stride) if [stride * side for side in cells] == list(sides) else None


def _at(images: Sequence[tuple[int, int]]) -> str:
    return " and ".join(f"{high} x {wide}" for high, wide in images)


def _shown(levels: Mapping[int, Level | None]) -> str:
    return f"strides {', '.join('none' if one is None else str(one.stride) for one in levels.values())}"


def _created(name: str, indices: tuple[int, ...], use_pretrained: bool | str) -> nn.Module:
    import timm

    if isinstance(use_pretrained, str):
        return _from_file(name, indices, use_pretrained)
    try:
        return timm.create_model(name, pretrained=use_pretrained, features_only=True, out_indices=indices)
    except Exception as error:  # whatever the network or the hub's cache raised
        raise Refused(
            f"TimmBackbone.use_pretrained=True: the weights of {name!r} could not be downloaded ({one_line(error)}); "
            "download them elsewhere and pass use_pretrained=<path of the file>"
        ) from error


def _from_file(name: str, indices: tuple[int, ...], path: str) -> nn.Module:
    import timm

    found, file = as_tensors(read_weights(path), path), {"file": str(fetched(path))}
    try:
        net = timm.create_model(
            name, pretrained=True, pretrained_cfg_overlay=file, features_only=True, out_indices=indices
        )
    except Exception as error:  # timm's loader names the first shapes that differ
        raise Refused(f"TimmBackbone.use_pretrained: {path} does not fit {name!r} ({one_line(error)})") from error
    # timm loads what it finds and is silent on the rest; a features network joins some names by "_".
    there = {k.replace(".", "_") for k in found}
    missing = [k for k, _ in net.named_parameters() if k.replace(".", "_") not in there]
    if missing:
        raise Refused(
            f"TimmBackbone.use_pretrained: {path} lacks {len(missing)} weights of {name!r}, first {missing[0]}; "
            "pass a checkpoint with timm's names"
        )
    return net
