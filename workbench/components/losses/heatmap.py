"""Cross-entropy of a joint 2-D heatmap with a Gaussian at the true key point: the plain way to learn a heatmap."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

import torch
from torch import Tensor

from workbench.core.errors import Refused
from workbench.slots import Loss, Matched, no_term


@final
@dataclass(frozen=True, kw_only=True)
class Heatmap(Loss):
    """Mean over all key points and positives; those that are invisible or outside the grid count 0."""

    term: ClassVar[str] = "loss_heatmap"
    needs: ClassVar[frozenset[str]] = frozenset({"grid"})

    width: float = 0.7  # standard deviation of the target, in grid cells

    def check(self) -> None:
        if not self.width > 0:
            raise Refused(f"Heatmap.width: {self.width} cells; the target's standard deviation must be above 0")

    def __call__(self, matched: Matched) -> Tensor:
        grid = matched.coords.grid
        if grid is None:
            raise Refused("the Heatmap loss needs a grid, which this coordinate stage does not offer")
        if not len(grid.logits):
            return no_term(grid.logits)
        target, inside = gaussian_grid(grid.bins, matched.gt_keypoints, self.width)
        loss = -(target * grid.logits.float().log_softmax(-1)).sum(-1)
        return loss.where(inside & (matched.visible > 0), 0.0).mean() * matched.share


def gaussian_grid(bins: Tensor, truth: Tensor, width: float) -> tuple[Tensor, Tensor]:
    """Gaussians at the truth, normalised over the grid, and whether the truth is within half a cell of its extent.

    Args:
        bins: (P, W, 2) positions of an evenly spaced grid of at least 2 x 2 cells, row-major, x and y rising.
        truth: (P, K, 2); width: standard deviation in cells.

    Returns:
        (P, K, W) float32 without gradients, and (P, K) bool.
    """
    bins, truth = bins.detach().float(), truth.float()
    first, extent = bins[:, 0], bins[:, -1] - bins[:, 0]  # (P, 2)
    across = (bins[:, 1, 0] - first[:, 0]).clamp(min=1e-6)
    rows = bins.shape[1] / (extent[:, 0] / across).round().add(1)
    down = (extent[:, 1] / (rows - 1)).clamp(min=1e-6)
    cell = torch.stack([across, down], dim=-1)[:, None]  # (P, 1, 2)
    position = (truth - first[:, None]) / cell  # (P, K, 2), in cells from the first
    inside = ((position >= -0.5) & (position <= (extent[:, None] / cell) + 0.5)).all(-1)
    steps = (bins[:, None] - truth[:, :, None]) / (width * cell[:, None])
    return (steps.square().sum(-1) / -2).softmax(-1), inside
