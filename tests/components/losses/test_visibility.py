"""The visibility loss against the reference."""

from __future__ import annotations

import math

import torch

from tests.recorded import close, piece
from workbench.components.losses import visibility


def test_visibility_as_the_reference() -> None:
    g = piece("loss_bce_vis")
    logits = g["logit"].requires_grad_()
    loss = visibility.visibility_loss(logits, g["target"], g["weight"])
    close(loss, g["loss"])
    loss.backward()
    assert logits.grad is not None
    close(logits.grad, g["grad"])


def test_key_points_of_weight_0_count_in_the_mean() -> None:
    loss = visibility.visibility_loss(torch.zeros(1, 2), torch.ones(1, 2), torch.tensor([[1.0, 0.0]]))
    close(loss, torch.tensor(math.log(2) / 2))
