"""L1 of the regressed key points: a pull from afar, where the OKS loss has next to no gradient. Not in RTMO.

Meant for training from scratch; off by default.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

from torch import Tensor

from workbench.core.errors import Refused
from workbench.slots import Loss, Matched, no_term


@final
@dataclass(frozen=True, kw_only=True)
class ProxyL1(Loss):
    """|dx| + |dy| in roots of the person's area; mean over the visible key points of all positives."""

    term: ClassVar[str] = "loss_proxy_l1"

    weights: tuple[float, ...] = (0.0, 0.0, 0.0)

    def __call__(self, matched: Matched) -> Tensor:
        proxy = matched.cells.proxy
        if proxy is None:
            raise Refused("the ProxyL1 loss reads regressed key points, but this model computes none; remove the loss")
        labelled = matched.labelled  # read also where nothing matched: other ranks wait for it
        if not len(proxy):
            return no_term(proxy)
        return proxy_l1(proxy, matched.gt_keypoints, matched.visible, matched.areas) / labelled


def proxy_l1(keypoints: Tensor, target: Tensor, visible: Tensor, areas: Tensor) -> Tensor:
    """The sum: (P, K, 2) twice, visible (P, K), areas (P,) in square pixels -> 0-d, float32."""
    distance = (keypoints.float() - target.float()).abs().sum(-1) / areas.float().sqrt().clamp(min=1)[:, None]
    return (distance * visible.float()).sum()
