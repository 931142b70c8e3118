"""The look-up of the ignore mask against the reference, and the exact one."""

from __future__ import annotations

import pytest
import torch

from tests.recorded import close, logit, piece
from workbench.models.ignore_mask import ignore_weight


@pytest.mark.parametrize("shape", ["square", "rect"])
def test_ignore_mask_as_the_reference(shape: str) -> None:
    g = piece(f"obj_weight_mask_{shape}")
    ours = ignore_weight(g["mask"], g["kpts"][None], logit(g["kpt_vis_prob"])[None])
    close(ours[0], g["obj_weight"][:, 0])
    assert 0 < float(ours.mean()) < 1


def test_exact_ignore_mask_reads_the_pixel_of_the_point() -> None:
    mask = torch.zeros(2, 8, 20)
    mask[1, 6, 15] = 1
    at = torch.tensor([[15.0, 6.0], [15.5, 6.0], [6.0, 15.0], [0.0, 0.0]])
    points = at[None, :, None].expand(2, -1, 3, -1)
    weight = ignore_weight(mask, points, torch.ones(2, 4, 3), exact=True)
    close(weight, torch.tensor([[1.0, 1.0, 1.0, 1.0], [0.0, 0.5, 1.0, 1.0]]))


def test_the_exact_mask_samples_the_pixel_on_masks_that_are_not_square() -> None:
    mask = torch.zeros(1, 40, 80)
    mask[0, 30:, :] = 1
    points = torch.tensor([[[[60.0, 35.0]], [[60.0, 10.0]]]])  # below and above the mask's edge
    seen = torch.full((1, 2, 1), 5.0)
    assert ignore_weight(mask, points, seen, exact=True).tolist() == [[0.0, 1.0]]
    # published: both coordinates are divided by the width, so the lower point is looked up higher
    assert ignore_weight(mask, points, seen).tolist() == [[1.0, 1.0]]
