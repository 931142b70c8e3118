"""Checkpoints as other programs write them: their tensors are read, their other objects are passed over.

A checkpoint of a training run holds more than weights: logs, settings and optimiser states, as objects of the program
that wrote it. torch's safe reader refuses such a file whole. Here every object that is not made of tensors, arrays and
Python's own containers becomes an empty one: its class is neither imported nor called.
"""

from __future__ import annotations

import collections
import pickle
import zipfile
from pathlib import Path
from types import SimpleNamespace
from typing import IO, Any

import numpy as np
import torch
import torch._utils as rebuilders


def _plain_array(_: Any, *given: Any) -> Any:
    """Records, or another kind of array, are a plain one here."""
    return np._core.multiarray._reconstruct(np.ndarray, *given)  # pyright: ignore


def _from_buffer(buffer: Any, dtype: np.dtype[Any], shape: tuple[int, ...], order: str, axes: Any = None) -> Any:
    """As numpy's own, which has no argument `axes` before 2.3."""
    array = np.frombuffer(buffer, dtype)
    if order == "K" and axes is not None:
        return array.reshape(shape).transpose(axes)
    return array.reshape(shape, order="F" if order == "F" else "C")


_CONTAINERS = {made.__name__: made for made in (set, frozenset, slice, complex, bytearray, bytes)}
# What builds tensors, arrays and containers, and nothing else. Files call numpy's by the module of their own time.
_KNOWN: dict[tuple[str, str], Any] = {
    ("collections", "OrderedDict"): collections.OrderedDict,
    ("collections", "defaultdict"): lambda *_: {},
    ("torch", "Size"): torch.Size,
    ("torch", "device"): torch.device,
    **{
        ("torch._utils", name): getattr(rebuilders, name)
        for name in ("_rebuild_tensor", "_rebuild_tensor_v2", "_rebuild_tensor_v3", "_rebuild_parameter")
    },
    ("torch._utils", "_rebuild_parameter_with_state"): lambda *given: rebuilders._rebuild_parameter(*given[:3]),
    ("torch.storage", "UntypedStorage"): torch.UntypedStorage,  # of the dtypes that came later: uint16, float8
    **{
        (f"numpy.{core}.{module}", name): made
        for core in ("core", "_core")
        for module, name, made in (
            ("multiarray", "_reconstruct", _plain_array),
            ("multiarray", "scalar", np._core.multiarray.scalar),  # pyright: ignore
            ("numeric", "_frombuffer", _from_buffer),  # from protocol 5 on
        )
    },
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): np.dtype,
    ("numpy", "record"): np.record,
    ("_codecs", "encode"): lambda text, *_: text.encode("latin1"),  # how Python 2 and old protocols write bytes
    **{(module, name): made for name, made in _CONTAINERS.items() for module in ("builtins", "__builtin__")},
}


class PassedOver:
    """In place of an object that is of no use here."""

    def __new__(cls, *_: Any, **__: Any) -> PassedOver:
        return super().__new__(cls)

    def __init__(self, *_: Any, **__: Any) -> None:
        pass

    def _drop(self, *_: Any, **__: Any) -> PassedOver:
        return self

    __setstate__ = __setitem__ = __call__ = append = extend = add = _drop


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str, /) -> Any:
        if module == "torch" and isinstance(getattr(torch, name, None), torch.dtype | torch.memory_format):
            return getattr(torch, name)
        return _KNOWN.get((module, name), PassedOver)


def _load(file: IO[bytes], **words: Any) -> Any:
    return _Unpickler(file, **words).load()


_READER = SimpleNamespace(Unpickler=_Unpickler, load=_load, __name__=__name__)


def read_checkpoint(path: Path) -> Any:
    """What a file that `torch.save` wrote holds, tensors on the CPU; see `PassedOver`.

    Raises:
        ValueError: it is a program (TorchScript), not a checkpoint.
        Exception: whatever torch raises of a file that it can not read.
    """
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            if any(name.endswith("/constants.pkl") for name in archive.namelist()):
                raise ValueError("a TorchScript program; save its state_dict() instead")
    return torch.load(path, map_location="cpu", weights_only=False, pickle_module=_READER)
