"""An accelerator that is pretended: what is put on it is computed on the CPU, and may not meet what is not on it.

Tensors there say that they are on `DEVICE`. As on a real one, an operation on tensors of both places fails, unless
those of the host have no dimension; so does reading one as an array. So a tensor that was made without `device=` is
found without a GPU. What runs inside one function of torch, a backward pass for example, is not looked at.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils.weak import WeakIdKeyDictionary

DEVICE = torch.device("cuda", 7)  # no machine of tests has it: what is remembered by device is never taken for its own
_BETWEEN = {"copy_", "to", "cpu", "__set__"}  # places; the last one is of `data`
_ASKING = {"_parse_to", "_has_compatible_shallow_copy_type"}  # of `Module.to`
_READING = {"numpy", "__array__"}  # by the host


class Elsewhere(RuntimeError):
    """Tensors of two places met."""


class Pretended(TorchFunctionMode):
    """While it is entered, there is the accelerator. What is on it stays there when it is entered again."""

    _memory: Any = WeakIdKeyDictionary()  # its storages

    def has(self, tensor: Tensor) -> bool:
        return tensor.untyped_storage() in self._memory

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        given = [*_tensors(args), *_tensors(list(kwargs.values()))]
        there = [tensor for tensor in given if self.has(tensor)]
        if there and func == torch.Tensor.device.__get__:  # pyright: ignore[reportAttributeAccessIssue]
            return DEVICE
        name = getattr(func, "__name__", "")
        if name in _ASKING:
            return func(*args, **kwargs)
        self._check(name, given, there)
        place = next(_places(name, args, kwargs, self.has), None)
        out = func(*map(_computed, args), **{key: _computed(value) for key, value in kwargs.items()})
        if place is None:
            host = {id(tensor.untyped_storage()) for tensor in given if not self.has(tensor)}
            made = _tensors([out]) if there else ()
            self._put(*(one for one in made if id(one.untyped_storage()) not in host))
        elif place != self.has(out):
            out = out.clone()  # what moves has memory of its own
            if place:
                self._put(out)
        return out

    def _put(self, *tensors: Tensor) -> None:
        for tensor in tensors:
            self._memory[tensor.untyped_storage()] = True

    def _check(self, name: str, given: list[Tensor], there: list[Tensor]) -> None:
        if there and name in _READING:
            raise Elsewhere(f"{name}: the host reads a tensor on {DEVICE}; bring it here first")
        here = [tensor for tensor in given if tensor.dim() and not self.has(tensor)]
        if there and here and name not in _BETWEEN:
            shapes = ", ".join(str(tuple(tensor.shape)) for tensor in here)
            raise Elsewhere(f"{name}: a tensor on {DEVICE} meets some of the host, of shape {shapes}")


def _tensors(given: Sequence[Any]) -> Iterator[Tensor]:
    """Those that a function is given or gives: alone or in lists."""
    for one in given:
        if isinstance(one, Tensor):
            yield one
        elif isinstance(one, list | tuple):
            yield from _tensors(one)


def _places(
    name: str, args: tuple[Any, ...], named: Mapping[str, Any], there: Callable[[Tensor], bool]
) -> Iterator[bool]:
    """Whether what comes out is to be on the accelerator, if the call says where."""
    if (said := named.get("device")) is not None:
        yield torch.device(said).type == DEVICE.type
    if name == "cpu":
        yield False
    if name == "to":
        for said in args[1:]:
            if isinstance(said, str | torch.device):
                yield torch.device(said).type == DEVICE.type
            if isinstance(said, Tensor):
                yield there(said)


def _computed(said: Any) -> Any:
    """Where it is done in truth."""
    if isinstance(said, str) and said.partition(":")[0] == DEVICE.type:
        return "cpu"
    return torch.device("cpu") if isinstance(said, torch.device) and said.type == DEVICE.type else said
