"""The L1 loss of raw boxes against the reference and its formula."""

from __future__ import annotations

import math

import torch

from tests.components.losses.fixed import Fixed
from tests.recorded import close, piece
from workbench.components.losses import bbox_aux


def test_l1_as_the_reference() -> None:
    g = piece("loss_l1")
    values = g["pred"].requires_grad_()
    loss = bbox_aux.l1(values, g["target"]).sum()
    close(loss, g["loss"])
    loss.backward()
    assert values.grad is not None
    close(values.grad, g["grad"])


def test_bbox_aux_as_the_formula_says() -> None:
    matched = Fixed(3)
    total = 0.0
    for raw, box in zip(matched.box_raw.tolist(), matched.gt_boxes.tolist(), strict=True):
        x1, y1, x2, y2 = box
        want = ((x1 + x2) / 2 - 30) / 16, ((y1 + y2) / 2 - 30) / 16, math.log((x2 - x1) / 16), math.log((y2 - y1) / 16)
        total += sum(abs(a - b) for a, b in zip(raw, want, strict=True))
    close(bbox_aux.BoxAux()(matched), torch.tensor(total / 3))
