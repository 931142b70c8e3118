"""Kullback-Leibler divergence of the heatmaps from Gaussians at the true coordinates (SimCC, arXiv 2107.03332).

The alternative that RTMO's MLE replaces: the target's width is fixed in bins instead of learnt.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, final

import torch
from torch import Tensor

from workbench.core.errors import Refused
from workbench.slots import Loss, Matched, no_term
from workbench.tensors import Axis


@final
@dataclass(frozen=True, kw_only=True)
class KLD(Loss):
    """The sum over both axes; mean over all key points, invisible ones counting 0, and over positives.

    An axis on which the truth lies outside the instance's bins has no target and counts 0.
    """

    term: ClassVar[str] = "loss_kld"
    needs: ClassVar[frozenset[str]] = frozenset({"axes"})
    removed: ClassVar[Mapping[str, object]] = {
        "beta": 1.0,
        "label_softmax": False,
        "label_beta": 10.0,
        "reduce": "sum",
    }

    weights: tuple[float, ...] = (1.0, 5.0, 5.0)
    width: float = 2.0  # standard deviation of the target, in bins

    def check(self) -> None:
        if not self.width > 0:
            raise Refused(f"KLD.width: {self.width} bins; the target's standard deviation must be above 0")

    def __call__(self, matched: Matched) -> Tensor:
        axes = matched.coords.x, matched.coords.y
        if axes[0] is None or axes[1] is None:
            raise Refused("the KLD loss needs axes, which this coordinate stage does not offer")
        if not len(axes[0].logits):
            return no_term(axes[0].logits, axes[1].logits)
        truths = matched.gt_keypoints.unbind(-1)
        terms = [self._axis(a, t, matched.visible) for a, t in zip(axes, truths, strict=True) if a]
        return torch.stack(terms).sum() * matched.share

    def _axis(self, axis: Axis, truth: Tensor, visible: Tensor) -> Tensor:
        target, inside = gaussian(axis.bins, truth, self.width)
        return kl_discrete(axis.logits, target).where(inside & (visible > 0), 0.0).mean()


def gaussian(bins: Tensor, truth: Tensor, width: float) -> tuple[Tensor, Tensor]:
    """Gaussians at the truth, normalised over the bins, and whether the truth is within half a bin of their range.

    Args:
        bins: (P, W) evenly spaced positions, W at least 2; truth: (P, K); width: standard deviation in bins.

    Returns:
        (P, K, W) float32 without gradients, and (P, K) bool.
    """
    bins, truth = bins.detach().float(), truth.float()
    first, last = bins[:, :1], bins[:, -1:]
    spacing = ((last - first) / (bins.shape[1] - 1)).clamp(min=1e-6)  # (P, 1)
    inside = (truth >= first - spacing / 2) & (truth <= last + spacing / 2)
    steps = (bins[:, None] - truth[..., None]) / (width * spacing[..., None])
    return (steps.square() / -2).softmax(-1), inside


def kl_discrete(logits: Tensor, target: Tensor) -> Tensor:
    """Divergence of softmax(logits) from `target`, key point by key point: (P, K, W) twice -> (P, K), float32.

    mmpose's KLDiscretLoss is this divided by W, summed over both axes and all instances, divided by K. Its `beta` is a
    factor on the logits, its `label_softmax` a softmax over ten times the target.
    """
    target = target.float()
    return (target.xlogy(target) - target * logits.float().log_softmax(-1)).sum(-1)
