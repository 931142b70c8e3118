"""Random feature maps, and how large a module is."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from workbench.tensors import Levels


def parameters(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


def maps(levels: Levels, h: int = 64, w: int = 96, batch: int = 2) -> list[Tensor]:
    return [torch.randn(batch, c, h // s, w // s) for c, s in levels]
