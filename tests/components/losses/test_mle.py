"""MLE against the reference, its formula and a plain loop."""

from __future__ import annotations

import math
from typing import get_args

import pytest
import torch

from tests.components.losses.fixed import KEYPOINTS, Fixed
from tests.recorded import close, piece
from workbench.components.losses import mle
from workbench.core.errors import Refused


@pytest.mark.parametrize("mode", get_args(mle.MLEMode))
def test_mle_as_the_reference(mode: mle.MLEMode) -> None:
    g = piece("loss_mle")
    loss = mle.mle(g["pred_x"], g["pred_y"], g["target_x"], g["target_y"], g["vis"], mode)
    close(loss, g[f"{mode}_none"])
    close(loss.mean(-1), g[f"{mode}_mean"])
    close(loss.sum(-1), g[f"{mode}_sum"])


def test_laplace_is_what_the_formula_says() -> None:
    bins, truth = torch.tensor([[10.0, 20.0, 40.0]]), torch.tensor([[20.0, 25.0]])
    near = mle.laplace(bins, truth, torch.tensor([400.0]), torch.tensor([[0.05, 0.0]]))
    close(near[0, 0], torch.tensor([math.exp(-10 / 2), 1.0, math.exp(-20 / 2)]) / 0.05)
    assert torch.equal(near[0, 1], torch.tensor([math.exp(-15 / 0.04), math.exp(-5 / 0.04), 0.0]) / 1e-3)


def test_mle_as_a_plain_loop() -> None:
    matched = Fixed(3)
    x, y, sigma = matched.coords.x, matched.coords.y, matched.coords.sigma
    assert x is not None and y is not None and sigma is not None
    total = torch.zeros(())
    for p in range(3):
        for k in range(KEYPOINTS):
            if matched.visible[p, k]:
                s, a = sigma[p, k].clamp(min=1e-3), matched.areas[p].sqrt()
                density = torch.ones(())
                for axis, truth in zip((x, y), matched.gt_keypoints[p, k], strict=True):
                    near = torch.exp(-(axis.bins[p] - truth).abs() / (2 * a * s)) / s
                    density = density * (axis.prob[p, k] * near).sum()
                total = total - torch.log(density + 1e-4)
    close(mle.MLE()(matched), total / KEYPOINTS / 3)
    close(mle.MLE(normalize="visible")(Fixed(1)) * Fixed(1).visible.sum(), mle.MLE()(Fixed(1)) * KEYPOINTS)


def test_mle_can_leave_the_boxes_alone() -> None:
    matched = Fixed(2)
    mle.MLE(detach_boxes=True)(matched).backward()
    assert matched.leaves["boxes"].grad is None
    assert matched.leaves["sigma"].grad is not None
    close(mle.MLE(detach_boxes=True)(matched), mle.MLE()(matched))


def test_a_weight_below_0_is_refused_and_0_is_not() -> None:
    with pytest.raises(Refused, match="weights"):
        mle.MLE(weights=(1.0, -1.0, 1.0))
    assert mle.MLE(weights=(0.0, 0.0, 0.0)).weights == (0.0, 0.0, 0.0)
