"""VariFocal: binary cross-entropy against the quality of a positive, with easy negatives weighted down.

VarifocalNet, arXiv 2008.13367, in the form that RTMO uses.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

from torch import Tensor
from torch.nn import functional as F

from workbench.core.errors import Refused
from workbench.slots import Loss, Matched


@final
@dataclass(frozen=True, kw_only=True)
class VariFocal(Loss):
    """Scores of all cells; summed, divided by the number of positives."""

    term: ClassVar[str] = "loss_cls"

    alpha: float = 0.75  # weight of negatives
    gamma: float = 2.0  # how much less an easy negative counts
    clip: float = 10.0  # logits beyond it have no gradient through the cross-entropy

    def check(self) -> None:
        if self.alpha < 0 or self.gamma < 0 or self.clip <= 0:
            raise Refused(
                f"VariFocal: alpha {self.alpha}, gamma {self.gamma}, clip {self.clip}; expected 0 or more, 0 or more, "
                "above 0"
            )

    def __call__(self, matched: Matched) -> Tensor:
        loss = varifocal(matched.dense.cls, matched.cls_target, self.alpha, self.gamma, self.clip)
        return (loss * matched.cls_weight.float()).sum() / matched.positives


def varifocal(logits: Tensor, target: Tensor, alpha: float = 0.75, gamma: float = 2.0, clip: float = 10.0) -> Tensor:
    """Element by element; `target` is 0 for a negative and the quality in 0..1 for a positive. In float32.

    The weight alpha p^gamma of negatives is part of what is differentiated, as published. A positive whose quality
    is at most 1e-4 counts as a negative.
    """
    logits, target = logits.float(), target.float()
    weight = alpha * logits.sigmoid().pow(gamma) * (target <= 1e-4) + target
    loss = weight * F.binary_cross_entropy_with_logits(logits.clamp(-clip, clip), target, reduction="none")
    return loss.nan_to_num(0.0, 0.0, 0.0)
