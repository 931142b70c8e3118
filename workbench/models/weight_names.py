"""The names of RTMO's weights in three programs: mmpose, whose names are the published ones, Focoos, and this one.

mmpose's and Focoos' are equal but for one tensor that is no part of our networks, the constants of OKS in the loss.
Ours are these names but for the prefix of a part, see `PREFIXES`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

Names = Literal["workbench", "mmpose", "focoos"]
CONSTANTS = ("dim_t", "x_bins", "y_bins")  # last words of the buffers that training does not change
PREFIXES = (("head.head_module.", "head."), ("head.dcc.", "coords."))  # published, ours; all other names are equal
SIGMAS = "head.loss_oks.sigmas"  # mmpose's constants of OKS
FOCOOS_SIGMAS = "head.criterion.loss_oks.sigmas"
COUNTER = "num_batches_tracked"  # of a batch norm; some programs leave it out, and nothing is computed from it


def published_name(name: str) -> str:
    """The name that the released checkpoints have for a parameter or buffer of ours."""
    for published, ours in PREFIXES:
        if name.startswith(ours):
            return published + name.removeprefix(ours)
    return name


def our_name(name: str) -> str:
    """The name that our networks have for one of the released checkpoints."""
    for published, ours in PREFIXES:
        if name.startswith(published):
            return ours + name.removeprefix(published)
    return name


def names_of(names: Iterable[str]) -> Names:
    """Whose names these are."""
    every = set(names)
    if FOCOOS_SIGMAS in every:
        return "focoos"
    theirs = any(name.startswith(published) for name in every for published, _ in PREFIXES)
    ours = any(name.startswith(("head.", "coords.")) for name in every)
    return "workbench" if ours and not theirs else "mmpose"


def is_constant(name: str) -> bool:
    """Whether training leaves it as it is."""
    return last_word(name) in CONSTANTS


def last_word(name: str) -> str:
    """What a name ends in, as "weight"."""
    return name.rpartition(".")[2]
