"""How large a module is."""

from __future__ import annotations

from torch import nn


def parameters(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())
