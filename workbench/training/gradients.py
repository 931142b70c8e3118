"""What each loss term does to each part of a network, measured on fixed batches.

Two rows that differ in one thing may train something else differently as well: a loss of the coordinate stage that
also moves the boxes, say. The gradient of each term alone, part by part, shows it.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import Module, Parameter

from workbench.components.similarity import keypoint_similarity
from workbench.models.criterion import MatchedBatch, matched_batch, weighted_terms
from workbench.models.network import Network
from workbench.slots import Towers, no_term
from workbench.tensors import Batch

TRUNK, TOWERS, BOX, STAGE = "trunk", "towers", "box branch", "stage"


@dataclass(frozen=True)
class GradientShares:
    """What the terms of a phase do to a network, mean over batches.

    Fields:
        shares: by part and term, in 0..1: the L2 norm of the term's gradient in the part, over the sum of all terms'.
            A part that is frozen is left out.
        positives: cells per image that learn a person.
        stage_oks, branch_oks: OKS of the coordinate stage's and of the regression branch's key points with the truth,
            over these cells; NaN where no cell learns or the branch is not computed.
    """

    shares: Mapping[str, Mapping[str, float]]
    positives: float
    stage_oks: float
    branch_oks: float


def parts(network: Network, images: Tensor | Towers) -> dict[str, list[Parameter]]:
    """The trained parameters of the four parts; parts without any are left out.

    The trunk is backbone and neck. What a head's parameters belong to is told by what depends on them, not by their
    names: towers, the last layer of the boxes, and that of the pose vectors, which counts to the coordinate stage. The
    last layers of scores, visibilities and regressed key points are in no part.

    Args:
        images: (B, 3, H, W), or the towers of a frozen trunk.
    """
    head = network.head
    towers = images if isinstance(images, Towers) else network.towers(images)
    ends = Towers(cls=[t.detach() for t in towers.cls], pose=[t.detach() for t in towers.pose])
    outputs = head.read(ends, proxy=True)
    found = {
        TRUNK: [*network.backbone.parameters(), *network.neck.parameters()],
        TOWERS: _reached(head, [*towers.cls, *towers.pose]),
        BOX: _reached(head, [outputs.box]),
        STAGE: [*network.coords.parameters(), *_reached(head, [outputs.pose])],
    }
    trained = {part: [p for p in parameters if p.requires_grad] for part, parameters in found.items()}
    return {part: parameters for part, parameters in trained.items() if parameters}


def _reached(head: Module, outputs: Sequence[Tensor]) -> list[Parameter]:
    """The head's trained parameters that the outputs depend on."""
    wanted, total = [p for p in head.parameters() if p.requires_grad], no_term(*outputs)
    if not wanted or not total.requires_grad:
        return []
    found = torch.autograd.grad(total, wanted, allow_unused=True)
    return [parameter for parameter, gradient in zip(wanted, found, strict=True) if gradient is not None]


def gradient_shares(network: Network, batches: Sequence[Batch], phases: Iterable[int]) -> dict[int, GradientShares]:
    """What the terms of each phase do to the network, all phases on the same weights and batches.

    The network is run as in training and is not trained; only the running statistics of its norms move.
    """
    network.train()
    images = batches[0].images
    known = parts(network, images if isinstance(images, Towers) else images[:2])  # two suffice to ask what depends
    order = list(phases)
    seen: dict[int, list[GradientShares]] = {phase: [] for phase in order}
    for batch in batches:
        dense = network(batch.images)
        for phase in order:
            matched = matched_batch(network, dense, batch.targets, phase)
            norms = _norms(weighted_terms(network.variant, matched, phase), known)
            stage, branch = _oks(matched)
            seen[phase].append(GradientShares(norms, len(matched.cells) / len(batch.image_ids), stage, branch))
    return {phase: _mean(found) for phase, found in seen.items()}


def _norms(terms: Mapping[str, Tensor], known: Mapping[str, Sequence[Parameter]]) -> dict[str, dict[str, float]]:
    """By part and term, the L2 norm of the gradient of the term alone."""
    found: dict[str, dict[str, float]] = {part: {} for part in known}
    every = [parameter for parameters in known.values() for parameter in parameters]
    for term, value in terms.items():
        gradients: Sequence[Tensor | None] = [None] * len(every)
        if value.requires_grad:
            gradients = torch.autograd.grad(value, every, retain_graph=True, allow_unused=True)
        of = dict(zip(map(id, every), gradients, strict=True))
        for part, parameters in known.items():
            mine = [g.norm() for p in parameters if (g := of[id(p)]) is not None]
            found[part][term] = float(torch.stack(mine).norm()) if mine else 0.0
    return found


@torch.no_grad()
def _oks(matched: MatchedBatch) -> tuple[float, float]:
    """Mean OKS of the stage and of the regression branch over the positive cells."""
    truth = matched.gt_keypoints, matched.visible, matched.areas, matched.sigmas
    said = matched.coords.keypoints, matched.cells.proxy
    stage, branch = (float("nan") if k is None else float(keypoint_similarity(k, *truth).mean()) for k in said)
    return stage, branch


def _mean(found: Sequence[GradientShares]) -> GradientShares:
    """Norms become shares only here: a batch counts as much as its gradient is long."""
    shares: dict[str, dict[str, float]] = {}
    for part, terms in found[0].shares.items():
        sums = {term: sum(one.shares[part][term] for one in found) for term in terms}
        total = sum(sums.values())
        shares[part] = {term: value / total if total else 0.0 for term, value in sums.items()}
    means = (statistics.fmean(getattr(one, name) for one in found) for name in ("positives", "stage_oks", "branch_oks"))
    return GradientShares(shares, *means)
