"""Batch norm that is exact in channels_last on a CPU.

PyTorch sums each channel of a channels_last map one value after the other in float32. Over the 200,000 positions of a
batch at working size that loses three to four digits, and how many depends on the number of threads
(`docs/batch_norm_channels_last.py` shows it). Contiguous maps are summed in blocks and lose none.

So sums here are short: a map is read as one of more channels and fewer positions, which is another view
of the same memory, and its statistics are put together in double precision. bfloat16 is left to PyTorch: its own
rounding is a hundred times larger.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

ROWS = 128  # least positions in a sum: twice as many are not worth a division


class BatchNorm2d(nn.BatchNorm2d):
    """`torch.nn.BatchNorm2d`; in training on a CPU, channels_last and float32, within 1e-5 of double precision."""

    def forward(self, input: Tensor) -> Tensor:
        momentum, count = self.momentum, input.numel() // self.num_features
        mine = self.training and self.track_running_stats and self.affine
        if momentum is None or not (mine and count > 2 * ROWS and summed_one_by_one(input)):
            return super().forward(input)
        normalised, mean, variance = _Normalised.apply(input, self.weight, self.bias, self.eps)
        with torch.no_grad():
            assert self.running_mean is not None and self.running_var is not None
            assert self.num_batches_tracked is not None
            self.num_batches_tracked.add_(1)
            self.running_mean.lerp_(mean, momentum)
            self.running_var.lerp_(variance * (count / (count - 1)), momentum)
        return normalised


def exact_norms(module: nn.Module) -> None:
    """Makes every plain batch norm of a module one of these; its weights, its name and its hooks stay."""
    for part in module.modules():
        if type(part) is nn.BatchNorm2d:
            part.__class__ = BatchNorm2d


@contextmanager
def known_norms(module: nn.Module) -> Iterator[None]:
    """Has the 2-D batch norms of a module that are in training use the statistics that they know, and learn none."""
    parts = [part for part in module.modules() if isinstance(part, nn.BatchNorm2d) and part.training]
    for part in parts:
        part.eval()
    try:
        yield
    finally:
        for part in parts:
            part.train()


def summed_one_by_one(x: Tensor) -> bool:
    """Whether PyTorch would sum this map value by value."""
    if x.device.type != "cpu" or x.dtype != torch.float32 or torch.compiler.is_compiling():  # it sums in its own way
        return False
    return x.is_contiguous(memory_format=torch.channels_last) and not x.is_contiguous()


def parts_of(count: int) -> int:
    """Into how many parts the positions are divided: evenly, about as many as there are positions in each."""
    least = max(ROWS, math.isqrt(count))
    return next((count // rows for rows in range(least, min(4 * least, count)) if count % rows == 0), 1)


def _folded(x: Tensor, groups: int) -> Tensor:
    """(B, C, H, W) -> (1, groups * C, rows, 1), channels_last, without a copy: channel g * C + c is every
    `groups`-th position of channel c, from the g-th on."""
    return x.permute(0, 2, 3, 1).reshape(1, -1, 1, groups * x.shape[1]).permute(0, 3, 1, 2)


class _Normalised(torch.autograd.Function):
    """x (B, C, H, W), weight and bias (C,) -> normalised map, mean and biased variance (C,)."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, eps: float) -> tuple[Tensor, Tensor, Tensor]:
        channels = x.shape[1]
        groups = parts_of(x.numel() // channels)
        found = torch.batch_norm_update_stats(_folded(x, groups), None, None, 0.0)
        means, variances = (one.view(groups, channels) for one in found)
        mean = means.mean(0)
        variance = torch.addcmul(variances, means - mean, means - mean).mean(0)
        ctx.save_for_backward(x, weight, mean, variance)
        ctx.eps, ctx.groups = eps, groups
        ctx.mark_non_differentiable(mean, variance)
        return torch.batch_norm(x, weight, bias, mean, variance, False, 0.0, eps, False), mean, variance

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor, *_: Tensor) -> tuple[Tensor, Tensor, Tensor, None]:
        x, weight, mean, variance = ctx.saved_tensors
        grad, channels = grad.contiguous(memory_format=torch.channels_last), x.shape[1]
        folded = (_folded(one, ctx.groups) for one in (grad, x))
        constants = (one.repeat(ctx.groups) for one in (mean, variance))
        wanted = [False, True, True]  # the sums alone
        _, products, sums = torch.ops.aten.native_batch_norm_backward(
            *folded, None, *constants, None, None, False, ctx.eps, wanted
        )
        to_weight, to_bias = (one.view(-1, channels).sum(0) for one in (products, sums))
        # The gradient of x is a * grad + b * x + c, by channel.
        inverse = (variance + ctx.eps).rsqrt_()
        a = weight * inverse
        share = a * (-channels / x.numel())
        b = share * inverse * to_weight
        c = torch.addcmul(share * to_bias, b, mean, value=-1)
        to_x = torch.addcmul(c[:, None, None], grad, a[:, None, None])
        return to_x.addcmul_(x, b[:, None, None]), to_weight, to_bias, None
