"""Inference: score filter, NMS, then the coordinate stage for the survivors only."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from workbench.models.network import Network, gather
from workbench.slots import Towers
from workbench.tensors import Dense, Detections

# The exponential of a network that has hardly learnt overflows now and then. NMS tells the images of a batch apart by
# moving their boxes by the largest coordinate: one such box would make all boxes of other images equal.
FAR = 1e6  # pixels
NMS_PRE = 100_000  # cells of an image, at most, that NMS compares
# Persons for whom a CPU runs the coordinate stage at once: what it computes for more of them leaves its caches, and
# each large array is memory that the system has to give anew.
PERSON_LOT = 128


class Kept(NamedTuple):
    """The P cells that are persons, by image, then descending score."""

    image: Tensor  # (P,)
    cell: Tensor  # (P,)
    score: Tensor  # (P,)
    label: Tensor  # (P,)


class Poses(NamedTuple):
    """The persons of P cells, in pixels of the network input."""

    boxes: Tensor  # (P, 4): x1, y1, x2, y2, cut at the border of the input
    keypoints: Tensor  # (P, K, 2)
    visible: Tensor  # (P, K): probability that a key point is visible


@torch.no_grad()
def keep(dense: Dense, score_threshold: float, nms_threshold: float, nms_pre: int = NMS_PRE) -> Kept:
    """The cells that pass the score filter and NMS.

    Published rules: score strictly above the threshold, at most `nms_pre` per image, class-agnostic NMS on the
    unclamped boxes that drops an IoU strictly above the threshold. A threshold of 1 and more keeps everything. Ours:
    boxes that reach farther than `FAR` are dropped.
    """
    scores, labels = dense.cls.sigmoid().max(-1)  # (B, N)
    image, cell = survivors(dense.boxes, scores, score_threshold, nms_threshold, nms_pre)
    return Kept(image, cell, scores[image, cell], labels[image, cell])


def survivors(
    boxes: Tensor, scores: Tensor, score_threshold: float, nms_threshold: float, nms_pre: int
) -> tuple[Tensor, Tensor]:
    """Image (P,) and cell (P,) of what `keep` keeps of boxes (B, N, 4) with scores (B, N)."""
    image, cell = possible(boxes, scores, score_threshold).nonzero(as_tuple=True)
    score = scores[image, cell]
    order = score.argsort(descending=True, stable=True)
    order = order[image[order].argsort(stable=True)]  # by image, best first
    image, cell, score = image[order], cell[order], score[order]
    first = torch.searchsorted(image, torch.arange(len(scores), device=image.device))
    inside = torch.arange(len(image), device=image.device) - first[image] < nms_pre
    image, cell, score = image[inside], cell[inside], score[inside]
    if nms_threshold < 1:
        from torchvision.ops import batched_nms  # imports for seconds, and few commands come here

        kept = batched_nms(boxes[image, cell], score, image, nms_threshold).sort().values
        image, cell = image[kept], cell[kept]
    return image, cell


def possible(boxes: Tensor, scores: Tensor, score_threshold: float) -> Tensor:
    """Which cells (B, N) may be persons, before NMS. A box that is not a number may, for evaluation to refuse."""
    return (scores > score_threshold) & ~(boxes.abs() > FAR).any(-1)


def poses(network: Network, dense: Dense, image: Tensor, cell: Tensor, lot: int | None = None) -> Poses:
    """Runs the coordinate stage, in eval mode, for the cells at (image, cell), both (P,).

    `lot`: for so many at once; None: for all. The answers are the same up to rounding.
    """
    if lot is None or len(image) <= lot:
        keypoints = network.coords.decode(gather(dense, image, cell))
    else:
        lots = zip(image.split(lot), cell.split(lot), strict=True)
        keypoints = torch.cat([network.coords.decode(gather(dense, i, c)) for i, c in lots])
    visible = dense.vis[image, cell].sigmoid()
    return Poses(cut(dense.boxes[image, cell], dense.canvas), keypoints, visible)


def cut(boxes: Tensor, canvas: tuple[int, int]) -> Tensor:
    """Boxes (P, 4) cut at the border of the canvas (height, width)."""
    x, y = boxes.unflatten(-1, (2, 2)).unbind(-1)
    return torch.stack((x.clamp(0, canvas[1]), y.clamp(0, canvas[0])), -1).flatten(1)


@torch.no_grad()
def detect(
    network: Network,
    images: Tensor | Towers,
    *,
    score_threshold: float = 0.1,
    nms_threshold: float = 0.65,
    nms_pre: int = NMS_PRE,
    image_ids: Sequence[int] | None = None,
    lot: int | None = None,
) -> list[Detections]:
    """The persons of each image of a batch, in network-input pixels, boxes clamped to the input. `lot` as of `poses`.

    Raises:
        ValueError: the network is in training mode.
    """
    if network.training:
        raise ValueError("detect wants a network in eval mode: call network.eval() first")
    dense = network(images)
    kept = keep(dense, score_threshold, nms_threshold, nms_pre)
    found = poses(network, dense, kept.image, kept.cell, lot)
    counts = torch.bincount(kept.image, minlength=len(dense.cls)).tolist()
    parts = [t.float().cpu().split(counts) for t in (found.boxes, kept.score, found.keypoints, found.visible)]
    labels = kept.label.cpu().split(counts)
    ids = image_ids or range(len(counts))
    return [
        Detections(
            boxes=b.numpy(),
            scores=s.numpy(),
            labels=n.numpy(),
            keypoints=k.numpy(),
            keypoint_scores=v.numpy(),
            image_id=i,
        )
        for b, s, k, v, n, i in zip(*parts, labels, ids, strict=True)
    ]
