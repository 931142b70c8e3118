"""KLD against the reference and its definition."""

from __future__ import annotations

import math

import pytest
import torch
from torch.nn import functional as F

from tests.components.losses.fixed import KEYPOINTS, Fixed
from tests.recorded import close, piece
from workbench.components.losses import kld
from workbench.core.errors import Refused


@pytest.mark.parametrize(("beta", "softmax", "name"), [(1.0, False, "beta1_ls0"), (10.0, True, "beta10_ls1")])
def test_kl_discret_as_the_reference(beta: float, softmax: bool, name: str) -> None:
    g = piece("loss_kl_discret")
    x, y = g["pred_x"].requires_grad_(), g["pred_y"].requires_grad_()
    axes = ((x, g["target_x"]), (y, g["target_y"]))
    targets = [(10 * t).softmax(-1) if softmax else t for _, t in axes]
    both = [kld.kl_discrete(beta * p, t) / p.shape[-1] for (p, _), t in zip(axes, targets, strict=True)]
    total = both[0] + both[1]
    loss = (total * g["weight"]).sum() / x.shape[1]
    close(loss, g[f"loss_{name}"])
    if softmax:
        close(total.sum() / x.shape[1], g[f"loss_{name}_noweight"])
    loss.backward()
    assert x.grad is not None and y.grad is not None
    close(x.grad, g[f"grad_x_{name}"])
    close(y.grad, g[f"grad_y_{name}"])


def test_gaussian_follows_the_bins() -> None:
    bins = torch.stack([torch.linspace(0, 95, 20), torch.linspace(50, 69, 20)])  # 5 px and 1 px apart
    truth = torch.tensor([[50.0, 98.0, -2.4], [60.0, 69.6, 49.6]])
    target, inside = kld.gaussian(bins, truth, width=2.0)
    close(target.sum(-1), torch.ones(2, 3))
    close(target[0, 0], target[1, 0])  # both on bin 10: the width is in bins
    assert math.isclose(float(target[0, 0, 12] / target[0, 0, 10]), math.exp(-0.5), rel_tol=1e-4)
    assert inside.tolist() == [[True, False, True], [True, False, True]]


def test_kld_is_the_divergence_from_the_target() -> None:
    matched = Fixed(3)
    total = torch.zeros(())
    for axis, truth in (
        (matched.coords.x, matched.gt_keypoints[..., 0]),
        (matched.coords.y, matched.gt_keypoints[..., 1]),
    ):
        assert axis is not None
        target, inside = kld.gaussian(axis.bins, truth, 1.5)
        each = F.kl_div(axis.logits.log_softmax(-1), target, reduction="none").sum(-1)
        total = total + (each * inside * matched.visible).sum()
    close(kld.KLD(width=1.5)(matched), total / KEYPOINTS / 3)


def test_kld_is_0_at_its_target() -> None:
    matched = Fixed(2)
    x, y = matched.coords.x, matched.coords.y
    assert x is not None and y is not None
    assert kld.KLD()(matched) > 0.1
    x.logits = kld.gaussian(x.bins, matched.gt_keypoints[..., 0], 2.0)[0].log()
    y.logits = kld.gaussian(y.bins, matched.gt_keypoints[..., 1], 2.0)[0].log()
    close(kld.KLD()(matched), torch.zeros(()))


@pytest.mark.parametrize("width", [0.0, -1.0])
def test_a_width_out_of_range_is_refused(width: float) -> None:
    with pytest.raises(Refused, match=r"width.*above 0"):
        kld.KLD(width=width)
