"""The OKS loss, and the similarity that it is made of, against the reference."""

from __future__ import annotations

import pytest

from tests.recorded import close, piece
from workbench.components.losses import oks
from workbench.components.similarity import keypoint_similarity


@pytest.mark.parametrize("data", ["coco", "crowdpose"])
def test_oks_as_the_reference(data: str) -> None:
    g = piece(f"loss_oks_{data}")
    points = g["pred"].requires_grad_()
    rest = g["target"], g["vis"], g["areas"], g["sigmas"]
    loss = oks.OKS().weights[0] * oks.oks_loss(points, *rest)
    close(loss, g["loss_none"])
    close(30 * oks.oks_loss(points, *rest, normalize="visible"), g["loss_none_norm_target_weight"])
    close(keypoint_similarity(points, *rest), g["pose_oks_aligned"])
    every = keypoint_similarity(points[:, None], rest[0][None], rest[1][None], rest[2][None], rest[3])
    close(every, g["pose_oks_pairwise"])
    loss.sum().backward()
    assert points.grad is not None
    close(points.grad, g["grad"])
