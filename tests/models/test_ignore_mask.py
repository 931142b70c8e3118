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
