"""SimOTA: a cell learns the person whose box, pose and class it predicts most cheaply (YOLOX, arXiv 2107.08430, with
the key point terms of RTMO, arXiv 2312.07526).

Each person takes as many cells as the summed quality of its ten best predictions says; a cell wanted by several goes
to the one it is cheapest for. Everything is batched over images and persons; pairs of cell and person are only
looked at where the cell lies in or near a person.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal, NamedTuple, final

import torch
from torch import Tensor
from torch.nn import functional as F

from workbench.components.similarity import box_iou, keypoint_similarity
from workbench.core.errors import Refused
from workbench.slots import Assigner
from workbench.tensors import Assignment, Dense, Targets

OFF_CENTRE = 1e5  # cost of a cell that is not both in the box and near the centre
NOT_FINITE = 1e9  # in place of a cost that is not finite


@final
@dataclass(frozen=True, kw_only=True)
class SimOTA(Assigner):
    """Optimal-transport-like assignment with a dynamic number of cells per person."""

    without_effect_on_frozen_trunk: ClassVar[tuple[str, ...]] = ("overlap",)

    center_radius: float = 2.5  # strides
    candidate_topk: int = 10
    iou_weight: float = 3.0
    cls_weight: float = 1.0
    oks_weight: float = 3.0
    vis_weight: float = 0.0
    dynamic_k: Literal["oks", "iou"] = "oks"
    use_keypoints_for_center: bool = True  # published: True for t and s on COCO and body7, else False
    min_k: int = 1  # at least so many cells per person, as far as there are candidates
    overlap: Literal["oks", "iou"] = "oks"  # what `Assignment.overlaps` is

    def check(self) -> None:
        if self.candidate_topk < 1 or self.min_k < 1:
            raise Refused(
                f"SimOTA: candidate_topk and min_k must be at least 1, given {self.candidate_topk} and {self.min_k}"
            )
        for name in ("center_radius", "iou_weight", "cls_weight", "oks_weight", "vis_weight"):
            if getattr(self, name) < 0:
                raise Refused(f"SimOTA.{name}: {getattr(self, name)} given; it must be 0 or more")

    @torch.no_grad()
    def assign(self, dense: Dense, targets: Targets, sigmas: Tensor) -> Assignment:
        """The positives of a batch, by image, then cell.

        Raises:
            Refused: `dense` has no regressed key points.
        """
        found = matching_costs(dense, targets, sigmas, self)
        quality = found.oks if self.dynamic_k == "oks" else found.iou
        chosen = dynamic_k_match(found.cost, quality, found.candidate, targets.present, self)
        image, cell = torch.nonzero(chosen >= 0, as_tuple=True)
        person = chosen[image, cell]
        overlaps = (found.oks if self.overlap == "oks" else found.iou)[image, cell, person]
        return Assignment(image=image, cell=cell, person=person, overlaps=overlaps)


class Costs(NamedTuple):
    """What the matching reads. Pairs that are not looked at have infinite cost and zero overlap."""

    cost: Tensor  # (B, N, G)
    oks: Tensor  # (B, N, G)
    iou: Tensor  # (B, N, G)
    candidate: Tensor  # (B, N) bool: in the box of or near any person


def matching_costs(dense: Dense, targets: Targets, sigmas: Tensor, spec: SimOTA) -> Costs:
    """The cost of every candidate cell for every person of its image, in float32."""
    if dense.proxy is None:
        raise Refused("SimOTA compares regressed key points, but this model computes none; switch its proxy branch on")
    inside, central = _geometry(dense, targets, spec)
    candidate = (inside | central).any(-1)
    pairs = candidate[..., None] & targets.present[:, None]
    image, cell, person = torch.nonzero(pairs, as_tuple=True)
    predicted, wanted = image * pairs.shape[1] + cell, image * pairs.shape[2] + person  # rows of flattened tensors

    visible = _rows(targets.visible, wanted)
    similarity = keypoint_similarity(
        _rows(dense.proxy, predicted),
        _rows(targets.keypoints, wanted),
        visible,
        _rows(targets.areas, wanted),
        sigmas,
    )
    iou = box_iou(_rows(dense.boxes, predicted), _rows(targets.boxes, wanted))
    score = _rows(dense.cls, predicted).gather(1, _rows(targets.labels, wanted)[:, None])[:, 0].float()
    unlikely = -score.clamp(-1e4, 1e4).sigmoid().sqrt().log().clamp(min=-100)
    cost = spec.cls_weight * unlikely + torch.where((inside & central)[image, cell, person], 0.0, OFF_CENTRE)
    cost = cost - spec.iou_weight * (iou + 1e-7).log() - spec.oks_weight * (similarity + 1e-7).log()
    if spec.vis_weight:
        logits = _rows(dense.vis, predicted).float()
        cost = cost + spec.vis_weight * F.binary_cross_entropy_with_logits(logits, visible, reduction="none").sum(-1)
    cost = cost.nan_to_num(nan=NOT_FINITE, posinf=NOT_FINITE)

    at = (image, cell, person)
    empty = similarity.new_zeros(pairs.shape)
    return Costs(
        cost=empty.new_full(pairs.shape, torch.inf).index_put_(at, cost),
        oks=empty.index_put(at, similarity.nan_to_num()),
        iou=empty.index_put(at, iou.nan_to_num()),
        candidate=candidate,
    )


def dynamic_k_match(cost: Tensor, quality: Tensor, candidate: Tensor, present: Tensor, spec: SimOTA) -> Tensor:
    """The person that each cell learns.

    Args:
        cost, quality: (B, N, G); candidate: (B, N) bool; present: (B, G) bool.

    Returns:
        (B, N) int64, the index of the person or -1.
    """
    cells, persons = cost.shape[1:]
    if not persons:
        return torch.full_like(candidate, -1, dtype=torch.int64)
    pairs = candidate[..., None] & present[:, None]
    best = quality.where(pairs, 0).transpose(1, 2).topk(min(spec.candidate_topk, cells), dim=-1).values
    wanted = best.sum(-1).int().clamp(min=spec.min_k)  # (B, G)

    cost = cost.where(pairs, torch.inf)
    most = min(max(spec.candidate_topk, spec.min_k), cells)
    value, cheapest = cost.transpose(1, 2).topk(most, dim=-1, largest=False)  # (B, G, most)
    rank = torch.arange(most, device=cost.device)
    takes = (rank < wanted[..., None]) & value.isfinite()
    taken = torch.zeros_like(takes[..., :1].expand(-1, -1, cells)).scatter(2, cheapest, takes).transpose(1, 2)
    # A cell taken by one person stays with it; one taken by several goes to the cheapest of all persons.
    takers = taken.sum(2, keepdim=True)  # (B, N, 1)
    chosen = cost.where(taken | (takers > 1), torch.inf).argmin(2)
    return chosen.where(takers[..., 0] > 0, -1)


def _geometry(dense: Dense, targets: Targets, spec: SimOTA) -> tuple[Tensor, Tensor]:
    """(B, N, G) twice: the cell's centre is in the person's box; it is near the person's centre."""
    present = targets.present[:, None]
    x, y = dense.points.float()[:, :, None].unbind(1)  # (N, 1)
    x1, y1, x2, y2 = targets.boxes.float()[:, None].unbind(-1)  # (B, 1, G)
    inside = (x > x1) & (y > y1) & (x < x2) & (y < y2) & present
    cx, cy = _centres(targets, spec.use_keypoints_for_center)[:, None].unbind(-1)
    radius = spec.center_radius * dense.strides.float()[:, None]
    central = ((x - cx).abs() < radius) & ((y - cy).abs() < radius) & present
    return inside, central


def _centres(targets: Targets, use_keypoints: bool) -> Tensor:
    """(B, G, 2): the box's centre or, where asked for and any is visible, the mean of the visible key points."""
    boxes = targets.boxes.float()
    centres = (boxes[..., :2] + boxes[..., 2:]) / 2
    if not use_keypoints:
        return centres
    visible = targets.visible.float()[..., None]
    count = visible.sum(-2)
    return torch.where(count > 0, (targets.keypoints.float() * visible).sum(-2) / count.clamp(min=1), centres)


def _rows(values: Tensor, index: Tensor) -> Tensor:
    """Rows of the first two dimensions taken as one."""
    return values.flatten(0, 1).index_select(0, index)
