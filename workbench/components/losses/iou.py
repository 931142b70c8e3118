"""Intersection over union of the decoded boxes of positives with their persons' boxes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal, final

from torch import Tensor

from workbench.components.similarity import box_iou
from workbench.slots import Loss, Matched, no_term

IoUMode = Literal["square", "linear", "log"]


@final
@dataclass(frozen=True, kw_only=True)
class IoU(Loss):
    """Summed over positives, divided by their number."""

    term: ClassVar[str] = "loss_bbox"

    weights: tuple[float, ...] = (5.0, 5.0, 5.0)
    mode: IoUMode = "square"

    def __call__(self, matched: Matched) -> Tensor:
        if not len(matched.cells.boxes):
            return no_term(matched.cells.boxes)
        return iou_loss(matched.cells.boxes, matched.gt_boxes, self.mode).sum() / matched.positives


def iou_loss(boxes: Tensor, targets: Tensor, mode: IoUMode = "square") -> Tensor:
    """1 - IoU^2, 1 - IoU or -ln IoU: (P, 4) and (P, 4) -> (P,), in float32."""
    iou = box_iou(boxes, targets).clamp(min=1e-16)
    if mode == "log":
        return -iou.log()
    return 1 - (iou.square() if mode == "square" else iou)
