"""Maximum likelihood of the true coordinates under the predicted heatmaps (RTMO, arXiv 2312.07526, section 3.3).

The heatmap of an axis is a mixture of Laplace densities at its bins, as wide as the predicted uncertainty says.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal, final

from torch import Tensor

from workbench.core.errors import Refused
from workbench.slots import Loss, Matched, no_term
from workbench.tensors import Axis

MLEMode = Literal["log", "linear", "square"]


@final
@dataclass(frozen=True, kw_only=True)
class MLE(Loss):
    """Negative log-likelihood; mean over all key points, invisible ones counting 0, and over positives."""

    term: ClassVar[str] = "loss_mle"
    needs: ClassVar[frozenset[str]] = frozenset({"axes", "sigma"})

    weights: tuple[float, ...] = (1.0, 5.0, 5.0)
    mode: MLEMode = "log"
    normalize: Literal["keypoints", "visible"] = "keypoints"  # published: over all key points
    detach_boxes: bool = False  # published: the bins' distances to the truth also teach the predicted box

    def __call__(self, matched: Matched) -> Tensor:
        x, y, sigma = matched.coords.x, matched.coords.y, matched.coords.sigma
        if x is None or y is None or sigma is None:
            raise Refused("the MLE loss needs axes and sigma, which this coordinate stage does not offer")
        if not len(sigma):
            return no_term(x.prob, y.prob, sigma)
        near_x = self._near(x, matched.gt_keypoints[..., 0], matched.areas, sigma)
        near_y = self._near(y, matched.gt_keypoints[..., 1], matched.areas, sigma)
        loss = mle(x.prob, y.prob, near_x, near_y, matched.visible, self.mode).sum(-1)
        if self.normalize == "keypoints":
            return (loss / matched.visible.shape[-1]).mean() * matched.share
        return (loss / matched.visible.float().sum(-1).clamp(min=1)).mean() * matched.share

    def _near(self, axis: Axis, truth: Tensor, areas: Tensor, sigma: Tensor) -> Tensor:
        return laplace(axis.bins.detach() if self.detach_boxes else axis.bins, truth, areas, sigma)


def laplace(bins: Tensor, truth: Tensor, areas: Tensor, sigma: Tensor) -> Tensor:
    """exp(-|bin - truth| / (2 root(area) sigma)) / sigma, not normalised over bins.

    Args:
        bins: (P, W) positions; truth: (P, K); areas: (P,); sigma: (P, K), relative to the root of the area.

    Returns:
        (P, K, W), float32, with gradients for `bins` and `sigma`.
    """
    sigma = sigma.float().clamp(min=1e-3)[..., None]
    reach = areas.float().sqrt().clamp(min=1)[:, None, None] * sigma * 2
    distance = (bins.float()[:, None] - truth.float()[..., None]).abs()
    return (-distance / reach).exp() / sigma


def mle(
    prob_x: Tensor, prob_y: Tensor, near_x: Tensor, near_y: Tensor, visible: Tensor, mode: MLEMode = "log"
) -> Tensor:
    """One value per key point: (P, K, Wx), (P, K, Wy) twice, visible (P, K) -> (P, K), in float32. NaN becomes 0."""
    density = (prob_x.float() * near_x.float()).sum(-1) * (prob_y.float() * near_y.float()).sum(-1)
    if mode == "log":
        loss = -(density + 1e-4).log()
    else:
        loss = 1 - (density.square() if mode == "square" else density)
    return loss.masked_fill(loss.isnan(), 0) * visible.float()
