"""Convolution, bias and activation as one call of oneDNN, for a network that runs on a CPU in float32.

    join_activations(folded)

A map is written once in place of twice, no convolution takes a slower way than oneDNN's, and a kernel is brought into
oneDNN's order at the first map, not at every one. Right for what is run here: exporters do not know the operators.
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
        self._ordered = _Ordered()

    def forward(self, x: Tensor) -> Tensor:
        plain = x.device.type == "cpu" and x.dtype == torch.float32 and x.ndim == 4
        if not plain or torch.is_autocast_enabled("cpu") or (x.requires_grad and torch.is_grad_enabled()):
            return self.unit(x)
        kernel = self._ordered.of(self.weight, x.shape, self.how)
        return torch.ops.mkldnn._convolution_pointwise(x, kernel, self.bias, *self.how, self.activation, [], "")


class _Ordered:
    """Keeps a kernel, a second time, in the order in which oneDNN reads it for maps of the shape that came first.

    For others it is right as well. Values that are changed in place are not seen. A copy of its owner orders for
    itself; of two threads that come first both order, and either result is right.
    """

    def __init__(self) -> None:
        self._made: tuple[Any, Tensor] | None = None

    def __reduce__(self) -> tuple[type[_Ordered], tuple[()]]:
        return _Ordered, ()

    def of(self, weight: Tensor, shape: torch.Size, how: tuple[Any, ...]) -> Tensor:
        made, now = self._made, weight.data_ptr()
        if made is None or made[0] != now:
            made = now, torch.ops.mkldnn._reorder_convolution_weight(weight, *how, shape)
            self._made = made
        return made[1]


def join_activations(module: nn.Module) -> None:
    """Makes each folded unit of a module one call, and each convolution beside them, where oneDNN is here.

    The module has no gradients from then on, and the values of its kernels stay as they are: who changes them gets the
    old ones. Of a unit that still has a norm, or an activation that oneDNN can not join, it is the convolution alone.
    """
    if not (torch.backends.mkldnn.is_available() and hasattr(torch.ops.mkldnn, "_convolution_pointwise")):
        return
    module.requires_grad_(False)
    joined = set[nn.Module]()
    for name, unit in list(module.named_modules()):  # a unit comes before its convolution
        conv = _convolution(unit)
        activation = _NAMES.get(type(getattr(unit, "act", nn.Identity())))
        if conv is None or conv in joined or activation is None or not _can_join(conv):
            continue
        parent, _, last = name.rpartition(".")
        module.get_submodule(parent).add_module(last, _Joined(unit, conv, activation))
        joined.add(conv)


def _can_join(conv: nn.Conv2d) -> bool:
    return conv.weight.dtype == torch.float32 and conv.padding_mode == "zeros" and not isinstance(conv.padding, str)


def _convolution(unit: Any) -> nn.Conv2d | None:
    if isinstance(unit, FusedRepVGG):
        return unit.conv_reparam
    if isinstance(unit, ConvUnit) and isinstance(unit.bn, nn.Identity):
        return unit.conv
    return unit if type(unit) is nn.Conv2d else None
