"""The deployed form of a network that may still change: folded where it is first used, and again after each change.

find = Folding()
detect(find.of(network), images)      # on a CPU half as fast again as detect(network, images)
"""

from __future__ import annotations

from itertools import chain
from typing import Any

import torch
from torch import Tensor

from workbench.inference.deployed import lean
from workbench.inference.joined_activation import join_activations
from workbench.models.network import Network


class Folding:
    """Keeps the folded copy of a network, and what the network was when it was made."""

    def __init__(self) -> None:
        self._made: tuple[Any, Network] | None = None

    def __reduce__(self) -> tuple[type[Folding], tuple[()]]:
        """A copy of its owner folds for itself."""
        return Folding, ()

    def of(self, network: Network) -> Network:
        """What answers as `network.eval()` does, up to rounding; `network` stays as it is."""
        now = _state(network)
        if self._made is None or self._made[0] != now:
            folded = lean(network).to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
            join_activations(folded)
            self._made = now, folded
        return self._made[1]


def _state(network: Network) -> Any:
    """Another value after a step, after `load_state_dict` and after a part was replaced.

    What is written through `.data` has no version: the norm of what is small, as of statistics and biases, tells.
    """
    tensors = [*chain(network.parameters(), network.buffers())]
    small = [one.detach() for one in tensors if one.ndim == 1 and one.is_floating_point()]
    norm = float(torch.cat(small).norm()) if small else 0.0
    return [id(one) for one in network.modules()], [(one.data_ptr(), _version(one)) for one in tensors], norm


def _version(tensor: Tensor) -> int:
    return -1 if tensor.is_inference() else tensor._version
