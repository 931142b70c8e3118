"""Weights of a backbone from a file or an address: by name, and all of them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from workbench.core.errors import Refused

Weights = dict[str, Tensor]
# Released checkpoints carry numpy arrays next to their weights; these four build arrays and nothing else.
_RECONSTRUCT, _SCALAR = np._core.multiarray._reconstruct, np._core.multiarray.scalar  # pyright: ignore
_NUMPY: list[Any] = [
    np.ndarray,
    np.dtype,
    _RECONSTRUCT,
    (_RECONSTRUCT, "numpy.core.multiarray._reconstruct"),  # as numpy 1 wrote it
    _SCALAR,
    (_SCALAR, "numpy.core.multiarray.scalar"),
    *(type(np.dtype(name)) for name in ("float32", "float64", "int32", "int64", "bool")),
]


def load_into(module: nn.Module, data: Any, source: str, prefix: str = "") -> None:
    """Loads `data`, a checkpoint as it was read from `source`, into `module`; see `named`."""
    module.load_state_dict(fitting(data, module, source, prefix))


def fitting(data: Any, module: nn.Module, source: str, prefix: str = "") -> Weights:
    """What a checkpoint (a dict, or one under "state_dict" or "model") has for the names of `module`.

    Names may carry `prefix`; names of other parts are ignored, a missing one is not.

    Raises:
        Refused: no checkpoint, or its names or shapes are not the module's.
    """
    found = as_tensors(data, source)
    ours = module.state_dict()
    inner = {k.removeprefix(prefix): v for k, v in found.items() if k.startswith(prefix)}
    state = inner or found
    wrong = [k for k, v in ours.items() if k not in state or state[k].shape != v.shape]
    if wrong:
        first = f"{wrong[0]}: {_shape(state, wrong[0])} in it, {_shape(ours, wrong[0])} expected"
        raise Refused(f"{source}: {len(wrong)} of {len(ours)} weights do not fit ({first}); pass weights of this size")
    return {k: state[k] for k in ours}


def as_tensors(data: Any, source: str) -> Weights:
    """The named tensors of a checkpoint.

    Raises:
        Refused: there are none.
    """
    for outer in ("state_dict", "model"):
        if isinstance(data, Mapping) and isinstance(data.get(outer), Mapping):
            data = data[outer]
    found = {k: v for k, v in data.items() if isinstance(v, Tensor)} if isinstance(data, Mapping) else {}
    if not found:
        raise Refused(f"{source}: holds no named tensors; pass a state dict")
    return found


def read_weights(path: str, option: str = "use_pretrained") -> Any:
    """A checkpoint: .npz, .safetensors, or whatever torch.load reads with weights_only.

    Raises:
        Refused: no such file, or not a checkpoint; `option` is what the message says was given.
    """
    if not Path(path).is_file():
        raise Refused(f"{option}={path!r}: no such file; pass the path of a checkpoint")
    try:
        if path.endswith(".npz"):
            with np.load(path, allow_pickle=False) as arrays:
                return {k: torch.from_numpy(arrays[k]) for k in arrays.files}
        if path.endswith(".safetensors"):
            from safetensors.torch import load_file

            return load_file(path)
        with torch.serialization.safe_globals(_NUMPY):
            return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # readers raise whatever they met; to the user it is one thing
        raise Refused(f"{option}={path!r}: not a checkpoint that can be read safely ({brief(error)})") from error


def download_weights(address: str) -> Any:
    """A checkpoint from the network, kept in torch's cache.

    Raises:
        Refused: it could not be had.
    """
    try:
        return torch.hub.load_state_dict_from_url(address, map_location="cpu", weights_only=True, progress=False)
    except Exception as error:  # whatever the network, the cache or the unpickler raised
        raise Refused(
            f"use_pretrained=True: {address} could not be downloaded ({brief(error)}); "
            "download it elsewhere and pass use_pretrained=<path of the file>"
        ) from error


def brief(error: Exception) -> str:
    """The first line of an error, cut to what fits a message."""
    return f"{type(error).__name__}: {str(error).strip().partition(chr(10))[0]:.120}"


def _shape(state: Mapping[str, Tensor], name: str) -> str:
    return str(tuple(state[name].shape)) if name in state else "missing"
