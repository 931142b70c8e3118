"""From what every cell says to the terms of the loss: assign, gather, and let each loss read what it needs."""

from __future__ import annotations

from functools import cached_property

import torch
from torch import Tensor

from workbench.components.similarity import keypoint_similarity
from workbench.core import distributed
from workbench.models.ignore_mask import ignore_weight
from workbench.models.network import Network, gather
from workbench.models.variant import Phase, Variant
from workbench.slots import Matched
from workbench.tensors import Assignment, Coordinates, Dense, Targets


def losses(network: Network, dense: Dense, targets: Targets, phase: int) -> dict[str, Tensor]:
    """The weighted terms of the total, by their published names. `phase` indexes the variant's phases.

    A term of weight 0 is not computed. Each term is a 0-d tensor, also where nothing matched.
    """
    return weighted_terms(network.variant, matched_batch(network, dense, targets, phase), phase)


def matched_batch(network: Network, dense: Dense, targets: Targets, phase: int) -> MatchedBatch:
    """The cells of a batch that learn persons, as the losses of a phase read them."""
    variant = network.variant
    sigmas = torch.tensor(variant.skeleton.sigmas, device=dense.boxes.device)
    with torch.no_grad():
        assignment = variant.assigner.assign(dense, targets, sigmas)
    return MatchedBatch(network, dense, targets, assignment, variant.phases[phase], sigmas)


def weighted_terms(variant: Variant, matched: Matched, phase: int) -> dict[str, Tensor]:
    """As `losses`, of cells that are matched already."""
    return {loss.term: loss(matched) * loss.weights[phase] for loss in variant.losses if loss.weights[phase]}


class MatchedBatch(Matched):
    """What the losses read of the matched cells of a batch; all that costs is computed when it is first read."""

    def __init__(
        self, network: Network, dense: Dense, targets: Targets, assigned: Assignment, phase: Phase, sigmas: Tensor
    ) -> None:
        image, cell, person = assigned.image, assigned.cell, assigned.person
        self.dense, self.sigmas = dense, sigmas
        self.cells = gather(dense, image, cell)
        self.gt_boxes = targets.boxes[image, person]
        self.gt_keypoints = targets.keypoints[image, person]
        self.visible = targets.visible[image, person]
        self.areas = targets.areas[image, person]
        self.keypoint_weights = targets.keypoint_weights[image, person]
        self.box_raw = dense.box_raw[image, cell]
        self.vis = dense.vis[image, cell]
        self.positives = _over_ranks(sigmas.new_tensor(float(len(image))))
        self._network, self._targets, self._assigned, self._phase = network, targets, assigned, phase

    @cached_property
    def labelled(self) -> Tensor:  # pyright: ignore[reportIncompatibleVariableOverride]
        return _over_ranks(self.visible.float().sum())

    @cached_property
    def coords(self) -> Coordinates:  # pyright: ignore[reportIncompatibleVariableOverride]
        return self._network.coords(self.cells)

    @cached_property
    def _teacher_wins(self) -> Tensor:
        """(P, K): 1 where the regression branch errs by more than the coordinate stage."""
        assert self.cells.proxy is not None
        own = (self.cells.proxy - self.gt_keypoints).norm(dim=-1)
        other = (self.coords.keypoints - self.gt_keypoints).norm(dim=-1)
        return (own > other).float().detach()

    @cached_property
    def proxy_target(self) -> Tensor:  # pyright: ignore[reportIncompatibleVariableOverride]
        return self.coords.keypoints.detach() if self._phase.proxy else self.gt_keypoints

    @cached_property
    def proxy_weight(self) -> Tensor:  # pyright: ignore[reportIncompatibleVariableOverride]
        return self.visible * self._teacher_wins if self._phase.proxy else self.visible

    @cached_property
    def cls_target(self) -> Tensor:  # pyright: ignore[reportIncompatibleVariableOverride]
        """The overlap of the matched prediction, raised to the phase's power, at positives; 0 elsewhere."""
        a, overlaps = self._assigned, self._assigned.overlaps
        if self._phase.proxy:
            teacher = self.coords.keypoints.detach()
            overlaps = keypoint_similarity(teacher, self.gt_keypoints, self.visible, self.areas, self.sigmas)
        target = torch.zeros_like(self.dense.cls)
        target[a.image, a.cell, self._targets.labels[a.image, a.person]] = overlaps**self._phase.overlaps_power
        return target

    @cached_property
    def cls_weight(self) -> Tensor:  # pyright: ignore[reportIncompatibleVariableOverride]
        mask = self._targets.ignore
        if mask is None or not self._phase.final or self.dense.proxy is None:
            return torch.ones_like(self.dense.cls[..., :1])
        proxy, vis = self.dense.proxy.detach(), self.dense.vis.detach()
        weight = ignore_weight(mask, proxy, vis, self._phase.exact_ignore)  # (B, N)
        return torch.where(self._targets.present.any(1)[:, None], weight, 1.0)[..., None]


def _over_ranks(count: Tensor) -> Tensor:
    """The mean over ranks; so much that all of them together have at least 1."""
    return distributed.mean(count).clamp(min=1 / distributed.world())
