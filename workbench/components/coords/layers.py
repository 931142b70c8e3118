"""Layers that more than one coordinate stage uses: heatmaps, sine positions, the norm over persons, uncertainty."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from workbench.tensors import Axis

LARGEST_LOGIT = 5e4
_TEMPERATURE = 300.0
_BLOCKS = 4  # of bins, at most: sines fall with their number, turned queries grow


def exact(like: Tensor) -> torch.autocast:
    """Float32 inside autocast: logits have a std of 66 and bins reach 640 px, bfloat16 has 8 bits for either."""
    # tensors without data, on which costs are counted, have no autocast of their own
    return torch.autocast("cpu" if like.is_meta else like.device.type, enabled=False)


def axis(logits: Tensor, bins: Tensor) -> Axis:
    """A heatmap from logits (P, K, W) in float32 and positions, (P, W) or (P, W, 2) in pixels."""
    logits = logits.clamp(-LARGEST_LOGIT, LARGEST_LOGIT)
    return Axis(logits=logits, prob=logits.softmax(-1), bins=bins)


def expectation(heatmap: Axis) -> Tensor:
    """The mean position (P, K), in pixels, of 1-D heatmaps."""
    return (heatmap.prob @ heatmap.bins.unsqueeze(-1)).squeeze(-1)


class SinePosition(nn.Module):
    """Positions in pixels as sines of falling frequencies: all cosines, then all sines."""

    dim_t: Tensor  # (channels / 2,)

    def __init__(self, channels: int, temperature: float = _TEMPERATURE) -> None:
        super().__init__()
        half = channels // 2
        self.register_buffer("dim_t", temperature ** (torch.arange(half, dtype=torch.float32) / half))

    def forward(self, position: Tensor) -> Tensor:
        """(..., W) -> (..., W, channels)."""
        return sines(position, self.dim_t).transpose(-1, -2)

    def product(self, query: Tensor, position: Tensor) -> Tensor:
        """Inner products (P, K, W) of queries (P, K, channels) and encoded positions (P, W)."""
        if torch.is_grad_enabled():
            return _SineProduct.apply(query, position, self.dim_t)
        return query @ sines(position, self.dim_t)

    def comb(self, query: Tensor, start: Tensor, size: Tensor, places: Tensor) -> Tensor:
        """`product` with the positions start + size * places, for evenly spaced `places` (W,): (P, K, W).

        The bins are a few equal blocks, each shifted against the first. A shift turns every pair of cosine and sine by
        an angle of its own, and the query can be turned back in their place: so one block is encoded for all of them,
        and a fraction of the sines is computed. Plain products, which exporters and counters can follow.

        Args:
            query: (P, K, channels); start, size: (P, 1), in pixels.
        """
        blocks = next(n for n in range(_BLOCKS, 0, -1) if len(places) % n == 0)
        first = places[: len(places) // blocks]
        shifts = places[:: len(first)] - places[0]  # (blocks,)
        angle = size.unsqueeze(-1) * (shifts[:, None] / self.dim_t)  # (P, blocks, channels / 2)
        cosine, sine = angle.cos().unsqueeze(1), angle.sin().unsqueeze(1)
        a, b = query.unsqueeze(2).chunk(2, -1)  # (P, K, 1, channels / 2)
        turned = torch.cat((a * cosine + b * sine, b * cosine - a * sine), -1).flatten(1, 2)
        return (turned @ sines(start + size * first, self.dim_t)).unflatten(1, (-1, blocks)).flatten(2)


def sines(position: Tensor, dim_t: Tensor) -> Tensor:
    """(..., W) -> (..., channels, W)."""
    angle = position.unsqueeze(-2) / dim_t.unsqueeze(-1)
    return torch.cat((angle.cos(), angle.sin()), -2)


class _SineProduct(torch.autograd.Function):
    """`query @ sines(position, dim_t)` with half the memory traffic, which is what a training step waits for.

    The derivative of a sine is a cosine that the encoding already holds, and the product with the query comes before
    the sum over channels, so no gradient of the encoding is ever made. Measured on one thread of a busy machine for
    400 cells: 98 against 244 ms with 192 bins, forward and backward.
    """

    @staticmethod
    def forward(ctx: Any, query: Tensor, position: Tensor, dim_t: Tensor) -> Tensor:
        half = len(dim_t)
        encoded = position.new_empty(*position.shape[:-1], 2 * half, position.shape[-1])
        cosine, sine = encoded.split(half, -2)
        torch.div(position.unsqueeze(-2), dim_t.unsqueeze(-1), out=sine)
        torch.cos(sine, out=cosine)
        sine.sin_()
        ctx.save_for_backward(query, encoded, dim_t)
        return query @ encoded

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
        query, encoded, dim_t = ctx.saved_tensors
        to_query = to_position = None
        with exact(grad):
            if ctx.needs_input_grad[0]:
                to_query = grad @ encoded.transpose(1, 2)
            if ctx.needs_input_grad[1]:
                of_cosine, of_sine = query.chunk(2, -1)
                slope = torch.cat((of_sine / dim_t, -of_cosine / dim_t), -1) @ encoded  # (P, K, W)
                to_position = (grad * slope).sum(1)
        return to_query, to_position, None


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


class LearntScale(nn.Module):
    """A learnable factor; `channels` None is one number for all."""

    def __init__(self, channels: int | None, value: float) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.full(() if channels is None else (channels,), value))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.scale


def uncertainty(pose_channels: int, keypoints: int) -> nn.Sequential:
    """The branch (P, D) -> sigma (P, K), relative to the root of the area; only the losses read it."""
    return nn.Sequential(nn.Linear(pose_channels, keypoints), nn.Sigmoid(), LearntScale(None, 0.1))
