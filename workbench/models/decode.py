"""Inference: score filter, NMS, then the coordinate stage for the survivors only."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torchvision.ops import batched_nms

from workbench.models.network import Network, gather
from workbench.slots import Towers
from workbench.tensors import Dense, Detections

# The exponential of a network that has hardly learnt overflows now and then. NMS tells the images of a batch apart by
# moving their boxes by the largest coordinate: one such box would make all boxes of other images equal.
FAR = 1e6  # pixels


@torch.no_grad()
def keep(dense: Dense, score_threshold: float, nms_threshold: float, nms_pre: int) -> tuple[Tensor, ...]:
    """Image (P,), cell (P,), score (P,) and label (P,) of the survivors, by image, then descending score.

    Published rules: score strictly above the threshold, at most `nms_pre` per image, class-agnostic NMS on the
    unclamped boxes that drops an IoU strictly above the threshold. A threshold of 1 and more keeps everything. Ours:
    boxes that reach farther than `FAR` are nobody's.
    """
    scores, labels = dense.cls.sigmoid().max(-1)  # (B, N)
    image, cell = survivors(dense.boxes, scores, score_threshold, nms_threshold, nms_pre)
    return image, cell, scores[image, cell], labels[image, cell]


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
        kept = batched_nms(boxes[image, cell], score, image, nms_threshold).sort().values
        image, cell = image[kept], cell[kept]
    return image, cell


def possible(boxes: Tensor, scores: Tensor, score_threshold: float) -> Tensor:
    """Which cells (B, N) may be persons, before NMS. A box that is not a number may, for evaluation to refuse."""
    return (scores > score_threshold) & ~(boxes.abs() > FAR).any(-1)


@torch.no_grad()
def detect(
    network: Network,
    images: Tensor | Towers,
    *,
    score_threshold: float = 0.1,
    nms_threshold: float = 0.65,
    nms_pre: int = 100_000,
    image_ids: Sequence[int] | None = None,
) -> list[Detections]:
    """The persons of each image of a batch, in network-input pixels, boxes clamped to the input.

    Raises:
        ValueError: the network is in training mode.
    """
    if network.training:
        raise ValueError("detect wants a network in eval mode: call network.eval() first")
    dense = network(images)
    image, cell, score, label = keep(dense, score_threshold, nms_threshold, nms_pre)
    cells = gather(dense, image, cell)
    keypoints = network.coords.decode(cells)
    height, width = dense.canvas
    limit = cells.boxes.new_tensor([width, height, width, height])
    boxes = torch.minimum(cells.boxes.clamp(min=0), limit)
    vis = dense.vis[image, cell].sigmoid()
    counts = torch.bincount(image, minlength=len(dense.cls)).tolist()
    parts = [t.float().cpu().split(counts) for t in (boxes, score, keypoints, vis)]
    labels = label.cpu().split(counts)
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
