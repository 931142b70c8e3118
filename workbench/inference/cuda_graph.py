"""The deployed form as a CUDA graph: a GPU gets the work of a whole batch at once, from images to persons.

    captured = Captured(Deployed(network, dtype=torch.bfloat16).to("cuda"))
    dets, keypoints = captured(images)

A network of many small layers leaves a GPU waiting for the host, which starts one kernel after the other; a graph is
started as one. Its shapes are fixed, so `padded` makes room for as many persons as there may be where `Deployed` packs
those that there are: the time is the same for nobody and for a crowd, and the host waits once, for how many there are.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from workbench.core.errors import Refused
from workbench.inference.deployed import Deployed
from workbench.models.decode import possible

CANDIDATES = 512  # cells of an image, the best ones, that NMS looks at
STEPS = 8  # of NMS, of which each settles one more link of a chain of boxes that overlap
Padded = tuple[Tensor, Tensor, Tensor]


class CudaGraph:
    """Finds what `deployed` finds, up to rounding, on the GPU where `deployed` is.

    The first batch of each new shape is captured, and each shape keeps a graph with memory of its own: meant for few.
    `deployed` must stay where it is, since the graphs read its weights there.

    Raises:
        Refused: it is on no GPU.
    """

    def __init__(self, deployed: Deployed) -> None:
        check_on_gpu(deployed)
        self.deployed = deployed
        self._graphs: dict[tuple[torch.Size, torch.dtype], Callable[[Tensor], Padded]] = {}

    @torch.no_grad()
    def __call__(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """As `Deployed.forward`."""
        kind = images.shape, images.dtype
        if kind not in self._graphs:
            graph: Any = torch.cuda.make_graphed_callables(self._padded, (images.clone(),))
            self._graphs[kind] = graph
        dets, keypoints, width = self._graphs[kind](images)
        persons = int(width)  # the host waits
        if persons < 0:
            return self.deployed(images)
        return dets[:, :persons].clone(), keypoints[:, :persons].clone()  # the next batch overwrites the graph's own

    def _padded(self, images: Tensor) -> Padded:
        return padded(self.deployed, images)


def check_on_gpu(deployed: Deployed) -> None:
    """Refuses a network that lies on no GPU.

    Raises:
        Refused: it says where the network is.
    """
    device = next(deployed.parameters()).device
    if device.type != "cuda":
        raise Refused(f"CUDA graph: the network is on {device}; expected a GPU: call .to('cuda') before")


@torch.no_grad()
def padded(deployed: Deployed, images: Tensor) -> Padded:
    """`Deployed.forward` in shapes that depend on no person, and without a wait for the device.

    Returns:
        dets (B, M, 5) and keypoints (B, M, K, 3) with room for all M that there may be, rows after the last person 0;
        and the number of persons in the fullest image and at least 1, or -1: these may be other persons than those of
        `Deployed`, because `CANDIDATES` or `STEPS` are too few for one of the images.
    """
    chosen = deployed.selection
    dense, scores = deployed.scored(deployed.answers(images), (images.shape[-2], images.shape[-1]))
    fit = possible(dense.boxes, scores, chosen.score_threshold)  # (B, N)
    best = scores.masked_fill(~fit, -1.0).argsort(dim=1, descending=True, stable=True)[:, :CANDIDATES]
    boxes = dense.boxes.gather(1, best.unsqueeze(-1).expand(-1, -1, 4))
    kept, settled = suppressed(boxes, fit.gather(1, best), chosen.nms_threshold)

    first = kept.int().argsort(dim=1, descending=True, stable=True)[:, : chosen.max_persons]
    cell, person = best.gather(1, first), kept.gather(1, first)  # (B, M)
    image = torch.arange(len(cell), device=cell.device)[:, None].expand_as(cell)
    rows, points = deployed.rows(dense, scores, image.flatten(), cell.flatten())
    dets = rows.unflatten(0, cell.shape).masked_fill(~person[..., None], 0.0)
    keypoints = points.unflatten(0, cell.shape).masked_fill(~person[..., None, None], 0.0)

    counts = person.sum(1)
    seen_all = (fit.sum(1) <= CANDIDATES) | (counts == chosen.max_persons)
    width = counts.amax().clamp(min=1).masked_fill(~(settled & seen_all).all(), -1)
    return dets, keypoints, width


def suppressed(boxes: Tensor, fit: Tensor, threshold: float) -> tuple[Tensor, Tensor]:
    """Greedy NMS in a fixed number of steps: which of boxes (B, C, 4), best first, stay (B, C), and is it certain (B,).

    Greedily, a fit box stays where no better box that stays overlaps it by more than `threshold`. That says of each
    box what it is if all better ones are known, so there is one answer: it is found where a step changes nothing.
    """
    from torchvision.ops import box_iou  # imports for seconds

    limit = threshold if threshold < 1 else math.inf  # 1 keeps all
    hides = (box_iou(boxes, boxes) > limit).tril(-1)  # (B, C, C): the box of the column that of the row
    before = kept = fit
    for _ in range(STEPS):
        before, kept = kept, fit & ~(hides & kept.unsqueeze(1)).any(-1)
    return kept, (kept == before).all(-1)
