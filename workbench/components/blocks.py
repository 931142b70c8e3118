"""Layers that more than one component uses. No spec lives here.

Names of children are those of the published checkpoints, so that these load by name. All blocks work with
channels_last and under autocast.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Norm(NamedTuple):
    """Constants of a batch norm. The published model uses two kinds: mixing them up costs the golden numbers."""

    eps: float
    momentum: float


DARKNET = Norm(1e-3, 0.03)  # backbone, head, PAFPN
TORCH = Norm(1e-5, 0.1)  # every norm of the hybrid encoder


def swish() -> nn.Module:
    """x * sigmoid(x)."""
    return nn.SiLU(inplace=True)


class ConvUnit(nn.Module):
    """Convolution without bias, batch norm, Swish (or ReLU, or nothing): (B, C, H, W) -> (B, C', H/s, W/s)."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: int,
        stride: int = 1,
        *,
        groups: int = 1,
        norm: Norm = DARKNET,
        act: Callable[[], nn.Module] | None = swish,
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False)
        self.bn = nn.BatchNorm2d(outputs, norm.eps, norm.momentum)
        self.act = nn.Identity() if act is None else act()

    def forward(self, x: Tensor) -> Tensor:
        return self.act(self.bn(self.conv(x)))


class FocusStem(nn.Module):
    """The four pixel phases of an image on the channels, then a 3x3 unit: (B, 3, H, W) -> (B, C, H/2, W/2).

    The order of the phases is (row 0, column 0), (1, 0), (0, 1), (1, 1). H and W must be even.
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv = ConvUnit(4 * inputs, outputs, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(phases(x))


def phases(x: Tensor) -> Tensor:
    """(B, C, H, W) -> (B, 4 C, H/2, W/2), in the same memory format."""
    return torch.cat((x[..., ::2, ::2], x[..., 1::2, ::2], x[..., ::2, 1::2], x[..., 1::2, 1::2]), 1)


class SPP(nn.Module):
    """Spatial pyramid pooling: the map and its maxima over 5, 9 and 13 pixels."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        mid = channels // 2
        self.conv1 = ConvUnit(channels, mid, 1)
        self.conv2 = ConvUnit(4 * mid, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv1(x)
        # A maximum over 9 is one over 5 of one over 5, and so on: the same values for a third of the work.
        five = F.max_pool2d(x, 5, 1, 2)
        nine = F.max_pool2d(five, 5, 1, 2)
        thirteen = F.max_pool2d(nine, 5, 1, 2)
        return self.conv2(torch.cat((x, five, nine, thirteen), 1))


class Bottleneck(nn.Module):
    """A 1x1 and a 3x3 unit, with the input added where `identity`."""

    def __init__(self, channels: int, identity: bool) -> None:
        super().__init__()
        self.conv1 = ConvUnit(channels, channels, 1)
        self.conv2 = ConvUnit(channels, channels, 3)
        self.identity = identity

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv2(self.conv1(x))
        return x + y if self.identity else y


class CSPLayer(nn.Module):
    """Cross-stage partial layer of YOLOX: half the channels pass `blocks` bottlenecks, half pass by."""

    def __init__(self, inputs: int, outputs: int, blocks: int, identity: bool) -> None:
        super().__init__()
        mid = outputs // 2
        self.main_conv = ConvUnit(inputs, mid, 1)
        self.short_conv = ConvUnit(inputs, mid, 1)
        self.final_conv = ConvUnit(2 * mid, outputs, 1)
        self.blocks = nn.Sequential(*(Bottleneck(mid, identity) for _ in range(blocks)))

    def forward(self, x: Tensor) -> Tensor:
        return self.final_conv(torch.cat((self.blocks(self.main_conv(x)), self.short_conv(x)), 1))


class RepVGG(nn.Module):
    """A 3x3 and a 1x1 branch, summed: one 3x3 convolution once trained, see `fused`. No identity branch."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.branch_3x3 = ConvUnit(channels, channels, 3, norm=TORCH, act=None)
        self.branch_1x1 = ConvUnit(channels, channels, 1, norm=TORCH, act=None)
        self.act = swish()

    def forward(self, x: Tensor) -> Tensor:
        return self.act(self.branch_3x3(x) + self.branch_1x1(x))

    def kernel(self) -> tuple[Tensor, Tensor]:
        """Weight (C, C, 3, 3) and bias (C,) of the one convolution that answers as both branches in eval mode."""
        (wide, wide_bias), (point, point_bias) = map(folded, (self.branch_3x3, self.branch_1x1))
        return wide + F.pad(point, (1, 1, 1, 1)), wide_bias + point_bias


class FusedRepVGG(nn.Module):
    """A `RepVGG` for deployment."""

    def __init__(self, trained: RepVGG) -> None:
        super().__init__()
        weight, bias = trained.kernel()
        self.conv_reparam = nn.Conv2d(
            weight.shape[1], weight.shape[0], 3, padding=1, device=weight.device, dtype=weight.dtype
        )
        self.conv_reparam.weight = nn.Parameter(weight)
        self.conv_reparam.bias = nn.Parameter(bias)
        self.act = swish()
        self.train(trained.training)

    def forward(self, x: Tensor) -> Tensor:
        return self.act(self.conv_reparam(x))


@torch.no_grad()
def folded(unit: ConvUnit) -> tuple[Tensor, Tensor]:
    """The unit's convolution with its batch norm's running statistics folded in."""
    bn = unit.bn
    assert bn.running_mean is not None and bn.running_var is not None
    scale = bn.weight / (bn.running_var + bn.eps).sqrt()
    return unit.conv.weight * scale[:, None, None, None], bn.bias - bn.running_mean * scale


def fused(module: nn.Module) -> nn.Module:
    """A copy for deployment in which every `RepVGG` is one convolution; the module itself stays as it is.

    Answers as `module.eval()` does up to rounding; its training mode is not that of the original.
    """
    if isinstance(module, RepVGG):
        return FusedRepVGG(module)
    copied = copy.deepcopy(module)
    for name, child in list(copied.named_modules()):
        if isinstance(child, RepVGG):
            parent, _, last = name.rpartition(".")
            copied.get_submodule(parent).add_module(last, FusedRepVGG(child))
    return copied


class CSPRepLayer(nn.Module):
    """Cross-stage partial layer of RT-DETR: RepVGG blocks on one path, the two paths summed."""

    def __init__(self, inputs: int, outputs: int, hidden: int, blocks: int) -> None:
        super().__init__()
        self.conv1 = ConvUnit(inputs, hidden, 1, norm=TORCH)
        self.conv2 = ConvUnit(inputs, hidden, 1, norm=TORCH)
        self.bottlenecks = nn.Sequential(*(RepVGG(hidden) for _ in range(blocks)))
        self.conv3 = nn.Identity() if hidden == outputs else ConvUnit(hidden, outputs, 1, norm=TORCH)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv3(self.bottlenecks(self.conv1(x)) + self.conv2(x))


def doubled(x: Tensor) -> Tensor:
    """(B, C, H, W) -> (B, C, 2 H, 2 W), every pixel repeated."""
    return F.interpolate(x, scale_factor=2.0, mode="nearest")
