"""Object key point similarity of the regression branch, as a loss (YOLO-Pose, arXiv 2204.06806)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal, final

from torch import Tensor

from workbench.components.similarity import keypoint_similarity, point_similarity
from workbench.core.errors import Refused
from workbench.slots import Loss, Matched, no_term

Normalize = Literal["keypoints", "visible"]


@final
@dataclass(frozen=True, kw_only=True)
class OKS(Loss):
    """1 - OKS of the regressed key points with what they learn in this phase; mean over positives."""

    term: ClassVar[str] = "loss_oks"

    weights: tuple[float, ...] = (30.0, 10.0, 10.0)
    normalize: Normalize = "keypoints"  # published: over all key points, so that unlabelled ones leave a constant floor

    def __call__(self, matched: Matched) -> Tensor:
        proxy = matched.cells.proxy
        if proxy is None:
            raise Refused("the OKS loss reads regressed key points, but this model computes none; remove the loss")
        if not len(proxy):
            return no_term(proxy)
        loss = oks_loss(
            proxy, matched.proxy_target, matched.proxy_weight, matched.areas, matched.sigmas, self.normalize
        )
        return loss.mean() * matched.share


def oks_loss(
    keypoints: Tensor,
    target: Tensor,
    weight: Tensor,
    areas: Tensor,
    sigmas: Tensor,
    normalize: Normalize = "keypoints",
) -> Tensor:
    """One value per pose: (P, K, 2) twice, weight (P, K), areas (P,), sigmas (K,) -> (P,), in float32."""
    if normalize == "visible":
        return 1 - keypoint_similarity(keypoints, target, weight, areas, sigmas)
    return 1 - (point_similarity(keypoints, target, areas, sigmas) * weight.float()).mean(-1)
