"""Weights of a backbone from a file, by name and completely."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import nn

from workbench.errors import Refused


def load(module: nn.Module, path: str, prefix: str = "") -> None:
    """Loads a checkpoint (a dict, or one under "state_dict" or "model") into `module`, in place.

    Names may carry `prefix`; names of other parts are ignored, a missing name is not.

    Raises:
        Refused: no such file, no checkpoint, or its names or shapes are not the module's.
    """
    found = _read(path)
    ours = module.state_dict()
    inner = {k.removeprefix(prefix): v for k, v in found.items() if k.startswith(prefix)}
    state = inner if prefix and inner else found
    wrong = [k for k, v in ours.items() if k not in state or state[k].shape != v.shape]
    if wrong:
        first = f"{wrong[0]}: {_shape(state, wrong[0])} in the file, {_shape(ours, wrong[0])} expected"
        raise Refused(f"{path}: {len(wrong)} of {len(ours)} parameters do not fit ({first}); pass weights of this size")
    module.load_state_dict({k: state[k] for k in ours})


def existing(path: str) -> str:
    """`path`, if a file is there.

    Raises:
        Refused: no such file.
    """
    if not Path(path).is_file():
        raise Refused(f"use_pretrained={path!r}: no such file; pass the path of a checkpoint")
    return path


def _read(path: str) -> dict[str, torch.Tensor]:
    try:
        data: Any = torch.load(existing(path), map_location="cpu", weights_only=True)
    except Refused:
        raise
    except Exception as error:  # torch raises whatever the unpickler met; to the user it is one thing
        raise Refused(f"{path}: not a checkpoint that torch.load(weights_only=True) reads ({error!r:.80})") from error
    for outer in ("state_dict", "model"):
        if isinstance(data, dict) and isinstance(data.get(outer), dict):
            data = data[outer]
    tensors = {k: v for k, v in data.items() if isinstance(v, torch.Tensor)} if isinstance(data, dict) else {}
    if not tensors:
        raise Refused(f"{path}: holds no named tensors; pass a state dict")
    return tensors


def _shape(state: dict[str, torch.Tensor], name: str) -> str:
    return str(tuple(state[name].shape)) if name in state else "missing"
