"""The ignore mask: which key points it leaves out."""

from __future__ import annotations

import torch

from workbench.models.ignore_mask import ignore_weight


def test_the_exact_mask_samples_the_pixel_on_masks_that_are_not_square() -> None:
    mask = torch.zeros(1, 40, 80)
    mask[0, 30:, :] = 1
    points = torch.tensor([[[[60.0, 35.0]], [[60.0, 10.0]]]])  # below and above the mask's edge
    seen = torch.full((1, 2, 1), 5.0)
    assert ignore_weight(mask, points, seen, exact=True).tolist() == [[0.0, 1.0]]
    # published: both coordinates are divided by the width, so the lower point is looked up higher
    assert ignore_weight(mask, points, seen).tolist() == [[1.0, 1.0]]
