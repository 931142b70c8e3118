"""Which cells do not count as negatives: those whose predicted person lies where persons are not labelled."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def ignore_weight(mask: Tensor, keypoints: Tensor, visible: Tensor, exact: bool = False) -> Tensor:
    """1 - mask at the mean of each cell's key points that it holds for visible (probability above 0.3).

    The published sampling divides both coordinates by the mask's width and mixes two conventions for where pixels
    lie; `exact` samples the pixel that the point is in, also on masks that are not square.

    Args:
        mask: (B, H, W) in 0..1, 1 where persons are not labelled, at the scale of the network input.
        keypoints: (B, N, K, 2), regressed; visible: (B, N, K) logits.

    Returns:
        (B, N) float32. Outside the mask 1; a cell that holds nothing for visible is sampled at (0, 0).
    """
    seen = (visible.float().sigmoid() > 0.3).float()[..., None]
    centre = (keypoints.float() * seen).sum(-2) / seen.sum(-2).clamp(min=1)  # (B, N, 2)
    height, width = mask.shape[-2:]
    if exact:
        at = (2 * centre + 1) / torch.tensor([width, height], device=mask.device) - 1
    else:
        at = centre / (width - 1) * 2 - 1
    sampled = F.grid_sample(mask.float()[:, None], at[:, None], mode="bilinear", align_corners=False)
    return 1 - sampled[:, 0, 0]
