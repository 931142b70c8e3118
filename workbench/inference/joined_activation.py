"""Convolution, bias and activation as one call of oneDNN, for a network that runs on a CPU in float32.

    join_activations(folded)

A map is written once in place of twice, and no convolution takes a slower way than oneDNN's. Right for what is run
here: exporters do not know the operator.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from workbench.components.blocks import ConvUnit, FusedRepVGG

_NAMES = {nn.SiLU: "swish", nn.ReLU: "relu", nn.Identity: "none"}  # oneDNN's, of what it can join


class _Joined(nn.Module):
    """A folded unit. Elsewhere than on a CPU in float32, and for a gradient of its input, it runs as it was."""

    def __init__(self, unit: nn.Module, conv: nn.Conv2d, activation: str) -> None:
        super().__init__()
        self.unit, self.weight, self.bias, self.activation = unit, conv.weight, conv.bias, activation
        self.how = (conv.padding, conv.stride, conv.dilation, conv.groups)

    def forward(self, x: Tensor) -> Tensor:
        plain = x.device.type == "cpu" and x.dtype == torch.float32 and not torch.is_autocast_enabled("cpu")
        if not plain or (x.requires_grad and torch.is_grad_enabled()):
            return self.unit(x)
        return torch.ops.mkldnn._convolution_pointwise(x, self.weight, self.bias, *self.how, self.activation, [], "")


def join_activations(module: nn.Module) -> None:
    """Makes each folded unit of a module one call, where oneDNN is here; the module has no gradients from then on.

    A unit that still has a norm stays, and so does an activation that oneDNN can not join.
    """
    if not (torch.backends.mkldnn.is_available() and hasattr(torch.ops.mkldnn, "_convolution_pointwise")):
        return
    module.requires_grad_(False)
    for name, unit in list(module.named_modules()):
        conv = _convolution(unit)
        activation = _NAMES.get(type(unit.act)) if conv is not None else None  # pyright: ignore[reportArgumentType]
        if conv is not None and activation is not None and conv.weight.dtype == torch.float32:
            parent, _, last = name.rpartition(".")
            module.get_submodule(parent).add_module(last, _Joined(unit, conv, activation))


def _convolution(unit: Any) -> nn.Conv2d | None:
    if isinstance(unit, FusedRepVGG):
        return unit.conv_reparam
    if isinstance(unit, ConvUnit) and isinstance(unit.bn, nn.Identity):
        return unit.conv
    return None
