"""A training step as one writes it first: the measure of what the real one gains, and its check.

Float32, contiguous tensors, the assignment image by image and person by person, an optimiser, a clipping and a moving
average that go from tensor to tensor. It computes what `workbench.training.loop.train` computes.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor
from torch.nn.utils import clip_grad_norm_

from workbench.components.assigners.simota import NOT_FINITE, OFF_CENTRE, SimOTA
from workbench.components.similarity import box_iou, keypoint_similarity
from workbench.models.criterion import losses
from workbench.models.job import Job, phase_at
from workbench.models.network import Network
from workbench.models.schedule import learning_rate
from workbench.slots import Assigner
from workbench.tensors import Assignment, Batch, Dense, Targets
from workbench.training.optim import ema_momentum, parameter_groups


class PlainTraining:
    """The state of a job that is trained the plain way."""

    def __init__(self, job: Job, device: str = "cpu") -> None:
        assert isinstance(job.variant.assigner, SimOTA)
        self.job, self.device = job, device
        variant = job.variant.vary({"assigner": OneByOne(as_in=job.variant.assigner)})
        self.model = Network(variant, job.seed).to(device).train()
        self.ema = copy.deepcopy(self.model).eval()
        self.optim = torch.optim.AdamW(parameter_groups(self.model, job.recipe), foreach=False, fused=False)
        self.updates = 0

    def step(self, batch: Batch, step: int, total: int) -> None:
        """Step number `step` of `total`, counted from 0."""
        phase = phase_at(self.job, step / total)
        for group in self.optim.param_groups:
            group["lr"] = learning_rate(self.job.recipe.schedule, group["base"], step, total)
        batch = batch.to(self.device)
        terms = losses(self.model, self.model(batch.images), batch.targets, phase)
        torch.stack(list(terms.values())).sum().backward()
        clip_grad_norm_(self.model.parameters(), self.job.recipe.clip, error_if_nonfinite=True, foreach=False)
        self.optim.step()
        self.optim.zero_grad()
        self._average()

    @torch.no_grad()
    def _average(self) -> None:
        share = ema_momentum(self.job.recipe, self.updates) if self.updates else 1.0
        theirs = self.model.state_dict()
        for name, mine in self.ema.state_dict().items():
            if mine.is_floating_point():
                mine.lerp_(theirs[name], share)
            elif not self.updates:
                mine.copy_(theirs[name])
        self.updates += 1


@final
@dataclass(frozen=True, kw_only=True)
class OneByOne(Assigner):
    """SimOTA for one image after the other, every cell against every person."""

    as_in: SimOTA = SimOTA()

    def assign(self, dense: Dense, targets: Targets, sigmas: Tensor) -> Assignment:
        found = [_one_image(dense, targets, sigmas, self.as_in, b) for b in range(len(dense.cls))]
        return Assignment(
            image=torch.cat([torch.full_like(cell, b) for b, (cell, _, _) in enumerate(found)]),
            cell=torch.cat([cell for cell, _, _ in found]),
            person=torch.cat([person for _, person, _ in found]),
            overlaps=torch.cat([overlaps for _, _, overlaps in found]),
        )


def _one_image(dense: Dense, targets: Targets, sigmas: Tensor, spec: SimOTA, b: int) -> tuple[Tensor, Tensor, Tensor]:
    """Cells (P,) of image `b`, their persons (P,) and overlaps (P,)."""
    assert dense.proxy is not None and not spec.vis_weight
    persons = int(targets.present[b].sum())
    cells = len(dense.points)
    if not persons:
        nobody = targets.labels[b, :0]
        return nobody, nobody, dense.boxes[b, :0, 0]
    cost, oks, iou = (dense.boxes.new_empty(cells, persons) for _ in range(3))
    candidate = torch.zeros(cells, dtype=torch.bool, device=cost.device)
    for g in range(persons):
        inside, central = _places(dense, targets, spec, b, g)
        candidate |= inside | central
        truth, visible = targets.keypoints[b, g].expand_as(dense.proxy[b]), targets.visible[b, g].expand(cells, -1)
        oks[:, g] = keypoint_similarity(dense.proxy[b], truth, visible, targets.areas[b, g].expand(cells), sigmas)
        iou[:, g] = box_iou(dense.boxes[b], targets.boxes[b, g].expand(cells, 4))
        score = dense.cls[b, :, targets.labels[b, g]].sigmoid().sqrt()
        cost[:, g] = -spec.cls_weight * score.log().clamp(min=-100) + (~(inside & central)).float() * OFF_CENTRE
        cost[:, g] -= spec.iou_weight * (iou[:, g] + 1e-7).log() + spec.oks_weight * (oks[:, g] + 1e-7).log()
    cost = cost.nan_to_num(nan=NOT_FINITE, posinf=NOT_FINITE)

    taken = torch.zeros_like(cost, dtype=torch.bool)
    quality = oks if spec.dynamic_k == "oks" else iou
    rows = candidate.nonzero()[:, 0]
    for g in range(persons):
        best = quality[rows, g].topk(min(spec.candidate_topk, len(rows))).values
        wanted = max(int(best.sum()), spec.min_k)
        cheapest = cost[rows, g].topk(min(wanted, len(rows)), largest=False).indices
        taken[rows[cheapest], g] = True
    several = (taken.sum(1) > 1).nonzero()[:, 0]
    taken[several] = False
    taken[several, cost[several].argmin(1)] = True
    cell, person = taken.nonzero(as_tuple=True)
    return cell, person, (oks if spec.overlap == "oks" else iou)[cell, person]


def _places(dense: Dense, targets: Targets, spec: SimOTA, b: int, g: int) -> tuple[Tensor, Tensor]:
    """Cells (N,) in the box of person `g` of image `b`, and cells near its centre."""
    x, y = dense.points.unbind(1)
    x1, y1, x2, y2 = targets.boxes[b, g]
    centre = (targets.boxes[b, g, :2] + targets.boxes[b, g, 2:]) / 2
    seen = targets.visible[b, g] > 0
    if spec.use_keypoints_for_center and seen.any():
        centre = targets.keypoints[b, g][seen].mean(0)
    reach = spec.center_radius * dense.strides
    inside = (x > x1) & (y > y1) & (x < x2) & (y < y2)
    return inside, ((x - centre[0]).abs() < reach) & ((y - centre[1]).abs() < reach)
