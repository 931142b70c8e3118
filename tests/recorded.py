"""What the reference implementation computed, stored in `tests/golden`, and how near to it ours must be."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

GOLDEN = Path(__file__).parent / "golden"
TINY = GOLDEN / "tiny"
COUNTS = json.loads((GOLDEN / "counts.json").read_text())


@cache
def golden(name: str) -> dict[str, Tensor]:
    """The arrays of one file, which all tests share: not to be changed."""
    with np.load(GOLDEN / f"{name}.npz") as stored:
        return {k: torch.from_numpy(np.asarray(stored[k])) for k in stored.files if stored[k].dtype.kind in "fiub"}


def piece(name: str) -> dict[str, Tensor]:
    """The arrays of one small part, the caller's own: it may ask for their gradients."""
    return {k: v.clone() for k, v in golden(f"pieces/{name}").items()}


def weights(arrays: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """The arrays whose names begin with the prefix, without it."""
    return {k.removeprefix(prefix): v for k, v in arrays.items() if k.startswith(prefix)}


def close(ours: Tensor, theirs: Tensor, tolerance: float = 2e-4, what: str = "") -> None:
    """Within `tolerance` of the largest value; the default is the tolerance of the golden set."""
    limit = tolerance * max(1.0, float(theirs.detach().abs().max()) if theirs.numel() else 1.0)
    torch.testing.assert_close(ours.to(theirs.dtype), theirs, rtol=0, atol=limit, msg=lambda m: f"{what}: {m}")


def logit(probability: Tensor) -> Tensor:
    return torch.logit(probability.double()).float()
