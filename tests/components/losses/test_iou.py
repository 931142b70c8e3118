"""The IoU loss against the reference."""

from __future__ import annotations

import math
from typing import get_args

import pytest
import torch

from tests.recorded import close, piece
from workbench.components.losses import iou


@pytest.mark.parametrize("mode", get_args(iou.IoUMode))
def test_iou_as_the_reference(mode: iou.IoUMode) -> None:
    g = piece("loss_iou")
    boxes = g["pred"].requires_grad_()
    loss = iou.IoU().weights[0] * iou.iou_loss(boxes, g["target"], mode).sum()
    close(loss, g[f"loss_{mode}"])
    loss.backward()
    assert boxes.grad is not None
    close(boxes.grad, g[f"grad_{mode}"])


@pytest.mark.parametrize(("mode", "loss"), [("square", 1 - 1 / 9), ("linear", 1 - 1 / 3), ("log", math.log(3))])
def test_iou_of_two_boxes_that_share_half_of_each(mode: iou.IoUMode, loss: float) -> None:
    boxes, targets = torch.tensor([[0.0, 0.0, 4.0, 2.0]]), torch.tensor([[2.0, 0.0, 6.0, 2.0]])
    close(iou.iou_loss(boxes, targets, mode), torch.tensor([loss]))
