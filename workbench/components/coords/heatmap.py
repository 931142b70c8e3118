"""Layers that more than one coordinate stage uses: heatmaps, sine positions, the norm over persons, uncertainty."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from workbench.tensors import Axis

LARGEST_LOGIT = 5e4
TEMPERATURE = 300.0


def exact(like: Tensor) -> torch.autocast:
    """Float32 inside autocast: logits have a std of 66 and bins reach 640 px, bfloat16 has 8 bits for either."""
    return torch.autocast(like.device.type, enabled=False)


def axis(logits: Tensor, bins: Tensor) -> Axis:
    """A heatmap from logits (P, K, W) in float32 and positions, (P, W) or (P, W, 2) in pixels."""
    logits = logits.clamp(-LARGEST_LOGIT, LARGEST_LOGIT)
    return Axis(logits=logits, prob=logits.softmax(-1), bins=bins)


def expectation(heatmap: Axis) -> Tensor:
    """The mean position (P, K), in pixels, of 1-D heatmaps."""
    return (heatmap.prob @ heatmap.bins.unsqueeze(-1)).squeeze(-1)


class SinePosition(nn.Module):
    """Positions (...) in pixels -> (..., channels): all cosines, then all sines, of falling frequencies."""

    dim_t: Tensor  # (channels / 2,)

    def __init__(self, channels: int, temperature: float = TEMPERATURE) -> None:
        super().__init__()
        half = channels // 2
        self.register_buffer("dim_t", temperature ** (torch.arange(half, dtype=torch.float32) / half))

    def forward(self, position: Tensor) -> Tensor:
        angle = position.unsqueeze(-1) / self.dim_t
        return torch.cat((angle.cos(), angle.sin()), -1)


class PersonNorm(nn.BatchNorm1d):
    """Batch norm over the instances (P, C) of a step, in float32.

    Fewer than two instances have no variance: they are normalised with the running statistics, which then stay as
    they are. So a batch with one person, or none, trains; the reference implementation stops with an error.
    """

    def forward(self, input: Tensor) -> Tensor:
        x = input.float()
        if self.training and len(x) < 2:
            return F.batch_norm(x, self.running_mean, self.running_var, self.weight, self.bias, False, 0.0, self.eps)
        return super().forward(x)


class Scale(nn.Module):
    """A learnable factor; `channels` None is one number for all."""

    def __init__(self, channels: int | None, value: float) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.full(() if channels is None else (channels,), value))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.scale


def uncertainty(pose_channels: int, keypoints: int) -> nn.Sequential:
    """The branch (P, D) -> sigma (P, K), relative to the root of the area; only the losses read it."""
    return nn.Sequential(nn.Linear(pose_channels, keypoints), nn.Sigmoid(), Scale(None, 0.1))
