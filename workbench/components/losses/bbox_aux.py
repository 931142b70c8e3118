"""L1 of the raw box regression: the late refinement of YOLOX (arXiv 2107.08430), on in RTMO's last phase."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

import torch
from torch import Tensor

from workbench.slots import Loss, Matched, no_term


@final
@dataclass(frozen=True, kw_only=True)
class BoxAux(Loss):
    """Summed over positives and their four numbers, divided by the number of positives."""

    term: ClassVar[str] = "loss_bbox_aux"

    weights: tuple[float, ...] = (0.0, 0.0, 1.0)

    def __call__(self, matched: Matched) -> Tensor:
        if not len(matched.box_raw):
            return no_term(matched.box_raw)
        target = raw_boxes(matched.gt_boxes, matched.cells.points, matched.cells.strides)
        return l1(matched.box_raw, target).sum() / matched.positives


def raw_boxes(boxes: Tensor, points: Tensor, strides: Tensor) -> Tensor:
    """What the head should say: dx, dy, log w, log h in strides. (P, 4), (P, 2), (P,) -> (P, 4), float32."""
    corner, opposite = boxes.float().split(2, dim=-1)
    stride = strides.float()[:, None]
    offset = ((corner + opposite) / 2 - points.float()) / stride
    return torch.cat([offset, ((opposite - corner) / stride + 1e-8).log()], dim=-1)


def l1(values: Tensor, target: Tensor) -> Tensor:
    """Absolute difference, element by element, in float32."""
    return (values.float() - target.float()).abs()
