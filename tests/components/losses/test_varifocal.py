"""VariFocal against the reference, and how cells count."""

from __future__ import annotations

import math

import pytest
import torch

from tests.components.losses.fixed import Fixed
from tests.recorded import close, piece
from workbench.components.losses import varifocal
from workbench.core.errors import Refused


def test_varifocal_as_the_reference() -> None:
    g = piece("loss_varifocal")
    logits = g["logit"].requires_grad_()
    loss = varifocal.varifocal(logits, g["target"]) * g["weight"]
    close(loss, g["loss_none"])
    close(loss.sum(), g["loss_sum"])
    loss.sum().backward()
    assert logits.grad is not None
    close(logits.grad, g["grad"])


def test_varifocal_counts_cells_by_their_weight() -> None:
    matched = Fixed(2)
    whole = varifocal.VariFocal()(matched)
    matched.cls_weight = torch.zeros(2, 6, 1)
    assert varifocal.VariFocal()(matched) == 0
    matched.cls_weight[0, 0] = 1
    assert 0 < varifocal.VariFocal()(matched) < whole


def test_varifocal_by_hand() -> None:
    """At logit 0: a negative counts 0.75 / 4 of its cross-entropy log 2, a positive as much as its quality."""
    loss = varifocal.varifocal(torch.zeros(2), torch.tensor([0.0, 0.6]))
    close(loss, math.log(2) * torch.tensor([0.75 / 4, 0.6]))


@pytest.mark.parametrize("clip", [0.0, -10.0])
def test_a_clip_out_of_range_is_refused(clip: float) -> None:
    with pytest.raises(Refused, match="clip"):
        varifocal.VariFocal(clip=clip)
