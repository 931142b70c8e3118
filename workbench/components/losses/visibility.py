"""Visibility of each key point: binary cross-entropy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

from torch import Tensor
from torch.nn import functional as F

from workbench.slots import Loss, Matched, no_term


@final
@dataclass(frozen=True, kw_only=True)
class Visibility(Loss):
    """Mean over positives and key points, also those of weight 0, as published."""

    term: ClassVar[str] = "loss_vis"

    def __call__(self, matched: Matched) -> Tensor:
        if not len(matched.vis):
            return no_term(matched.vis)
        return visibility_loss(matched.vis, matched.visible, matched.keypoint_weights) * matched.share


def visibility_loss(logits: Tensor, visible: Tensor, weight: Tensor) -> Tensor:
    """(P, K) three times -> 0-d, in float32. P must not be 0."""
    loss = F.binary_cross_entropy_with_logits(logits.float(), visible.float(), reduction="none")
    return (loss * weight.float()).mean()
