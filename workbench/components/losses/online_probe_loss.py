"""What the stages of `OnlineProbes` learn by: of each its own losses, added up."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import ClassVar, final

import torch
from torch import Tensor

from workbench.components.losses.mle import MLE
from workbench.core.errors import Refused
from workbench.slots import Loss, Matched, no_term
from workbench.tensors import Coordinates


@final
@dataclass(frozen=True, kw_only=True)
class OnlineProbeLoss(Loss):
    """Loss `losses[i]` teaches stage number `probes[i]`, with the weight that it has in its first phase."""

    term: ClassVar[str] = "loss_probes"
    needs: ClassVar[frozenset[str]] = frozenset({"probes"})

    probes: tuple[int, ...] = (0,)
    losses: tuple[Loss, ...] = (MLE(),)

    def check(self) -> None:
        if len(self.probes) != len(self.losses):
            raise Refused(f"OnlineProbeLoss: {len(self.probes)} probes and {len(self.losses)} losses; give one to each")

    def __call__(self, matched: Matched) -> Tensor:
        stages = matched.coords.probes
        taught = zip(self.probes, self.losses, strict=True)
        terms = [loss(_read_by(matched, stages[i])) * loss.weights[0] for i, loss in taught]
        return torch.stack([no_term(matched.sigmas), *terms]).sum()


def _read_by(matched: Matched, coords: Coordinates) -> Matched:
    """The same positives with the answers of another stage."""
    other = copy.copy(matched)
    other.coords = coords
    return other
