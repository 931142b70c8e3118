"""SimOTA against the reference's numbers and against a plain loop over images and persons."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from tests.recorded import close, logit, piece
from workbench.components.assigners.simota import SimOTA, dynamic_k_match, matching_costs
from workbench.core.errors import Refused
from workbench.core.skeletons import released_skeleton
from workbench.tensors import Dense, Targets


def golden_inputs(g: dict[str, Tensor]) -> tuple[Dense, Targets, Tensor]:
    cells, persons, keypoints = len(g["priors"]), *g["gt_keypoints"].shape[:2]
    dense = Dense(
        cls=logit(g["pred_scores"].double().square())[None],  # stored as the root of the probability
        box_raw=torch.zeros(1, cells, 4),
        boxes=g["pred_bboxes"][None],
        proxy=g["pred_kpts"][None],
        vis=logit(g["pred_kpt_vis"])[None],
        pose=torch.zeros(1, cells, 1),
        points=g["priors"][:, :2],
        strides=g["priors"][:, 2],
        canvas=(128, 160),
    )
    targets = Targets(
        boxes=g["gt_bboxes"][None],
        keypoints=g["gt_keypoints"][None],
        visible=g["gt_vis"][None],
        areas=g["gt_areas"][None],
        labels=torch.zeros(1, persons, dtype=torch.int64),
        keypoint_weights=torch.ones(1, persons, keypoints),
        present=torch.ones(1, persons, dtype=torch.bool),
    )
    return dense, targets, torch.tensor(released_skeleton(keypoints).sigmas)


GOLDEN: dict[str, dict[str, Any]] = {
    "simota_coco_kptcenter": {},
    "simota_coco_kptcenter_lownoise": {},
    "simota_coco_boxcenter": {"use_keypoints_for_center": False},
    "simota_crowdpose_boxcenter": {"use_keypoints_for_center": False},
    "simota_coco_visweight": {"vis_weight": 1.0},
    "simota_coco_dkiou": {"use_keypoints_for_center": False, "dynamic_k": "iou", "overlap": "iou"},
}


@pytest.mark.parametrize("name", GOLDEN)
def test_as_the_reference(name: str) -> None:
    g, spec = piece(name), SimOTA(**GOLDEN[name])
    dense, targets, sigmas = golden_inputs(g)
    found = matching_costs(dense, targets, sigmas, spec)
    assert torch.equal(found.candidate[0], g["valid_mask"])
    rows = g["valid_mask"]
    # 1e5 of a cell off centre would drown the rest in a tolerance relative to the largest.
    off = (g["cost"] > 5e4).float() * 1e5
    torch.testing.assert_close(found.cost[0][rows] - off, g["cost"] - off, rtol=0, atol=2e-2)
    close((found.cost[0][rows] - off)[off == 0], (g["cost"] - off)[off == 0])
    quality = found.oks if spec.dynamic_k == "oks" else found.iou
    close(quality[0][rows], g["pairwise"])

    assigned = spec.assign(dense, targets, sigmas)
    cells = torch.nonzero(g["gt_inds"])[:, 0]
    assert torch.equal(assigned.cell, cells)
    assert torch.equal(assigned.person, g["gt_inds"][cells] - 1)
    assert not assigned.image.any()
    close(assigned.overlaps, g["max_overlaps"][cells])


def drawn(seed: int, classes: int = 1, images: int = 4, persons: int = 5) -> tuple[Dense, Targets, Tensor]:
    """Random cells on 96 x 128 px and images with 0 to `persons` persons, one of them without key points."""
    rng = torch.Generator().manual_seed(seed)

    def uniform(*shape: int) -> Tensor:
        return torch.rand(*shape, generator=rng)

    size = torch.tensor([128.0, 96.0])
    grids = []
    for s in (16, 32):
        y, x = torch.meshgrid(torch.arange(96 // s), torch.arange(128 // s), indexing="ij")
        grids.append(torch.stack([x, y], -1).reshape(-1, 2) * s + (s - 1) / 2)
    points = torch.cat(grids)
    strides = torch.cat([torch.full((len(g),), float(s)) for g, s in zip(grids, (16, 32), strict=True)])
    cells, keypoints = len(points), 6

    centre, span = uniform(images, persons, 2) * size, uniform(images, persons, 2) * size * 0.6 + 2
    person = torch.randint(0, persons, (images, cells), generator=rng)[..., None]  # whom a cell looks at
    at = (centre.gather(1, person.expand(-1, -1, 2)) + points) / 2
    wide = span.gather(1, person.expand(-1, -1, 2)) * (0.5 + uniform(images, cells, 2))
    truth = centre[:, :, None] + (uniform(images, persons, keypoints, 2) - 0.5) * span[:, :, None]
    guess = truth[torch.arange(images)[:, None], person[..., 0]]
    visible = (uniform(images, persons, keypoints) > 0.4).float()
    visible[:, -1] = 0
    dense = Dense(
        cls=uniform(images, cells, classes) * 8 - 6,
        box_raw=torch.zeros(images, cells, 4),
        boxes=torch.cat([at - wide / 2, at + wide / 2], -1),
        proxy=guess + (uniform(images, cells, keypoints, 2) - 0.5) * 30 * uniform(images, cells, 1, 1),
        vis=uniform(images, cells, keypoints) * 4 - 2,
        pose=torch.zeros(images, cells, 1),
        points=points,
        strides=strides,
        canvas=(96, 128),
    )
    targets = Targets(
        boxes=torch.cat([centre - span / 2, centre + span / 2], -1),
        keypoints=truth,
        visible=visible,
        areas=span.prod(-1) * 0.6,
        labels=torch.randint(0, classes, (images, persons), generator=rng),
        keypoint_weights=torch.ones(images, persons, keypoints),
        present=torch.arange(persons) < torch.randint(0, persons + 1, (images, 1), generator=rng),
    )
    return dense, targets, uniform(keypoints) * 0.08 + 0.02


def slow(dense: Dense, targets: Targets, sigmas: Tensor, spec: SimOTA) -> list[tuple[int, int, int]]:
    """(image, cell, person) of every positive, one image, person and pair at a time."""
    found = []
    for b in range(len(dense.cls)):
        persons = [g for g in range(targets.present.shape[1]) if targets.present[b, g]]
        inside, central = {}, {}
        for g in persons:
            x1, y1, x2, y2 = targets.boxes[b, g].tolist()
            cx, cy = (x1 + x2) / 2, (y1 + y2) / 2
            seen = targets.visible[b, g] > 0
            if spec.use_keypoints_for_center and seen.any():
                cx, cy = targets.keypoints[b, g][seen].mean(0).tolist()
            for n, (x, y) in enumerate(dense.points.tolist()):
                reach = spec.center_radius * float(dense.strides[n])
                inside[n, g] = min(x - x1, y - y1, x2 - x, y2 - y) > 0
                central[n, g] = abs(x - cx) < reach and abs(y - cy) < reach
        cells = [n for n in range(len(dense.points)) if any(inside[n, g] or central[n, g] for g in persons)]
        cost, quality = {}, {}
        for n in cells:
            for g in persons:
                iou, oks = _iou(dense.boxes[b, n], targets.boxes[b, g]), _oks(dense, targets, sigmas, b, n, g)
                score = dense.cls[b, n, targets.labels[b, g]].sigmoid().sqrt()
                cost[n, g] = float(
                    (0 if inside[n, g] and central[n, g] else 1e5)
                    - 3 * torch.log(iou + 1e-7)
                    - 3 * torch.log(oks + 1e-7)
                    - torch.log(score)
                )
                quality[n, g] = float(oks if spec.dynamic_k == "oks" else iou)
        takers: dict[int, list[int]] = {}
        for g in persons:
            best = sorted((quality[n, g] for n in cells), reverse=True)[: spec.candidate_topk]
            for n in sorted(cells, key=lambda n: cost[n, g])[: max(int(sum(best)), spec.min_k)]:
                takers.setdefault(n, []).append(g)
        for n, wanted in takers.items():
            among = wanted if len(wanted) == 1 else persons
            found.append((b, n, min(among, key=lambda g: cost[n, g])))
    return sorted(found)


def _iou(a: Tensor, b: Tensor) -> Tensor:
    low, high = torch.maximum(a[:2], b[:2]), torch.minimum(a[2:], b[2:])
    both = (high - low).clamp(min=0).prod()
    return both / ((a[2:] - a[:2]).prod() + (b[2:] - b[:2]).prod() - both).clamp(min=1e-6)


def _oks(dense: Dense, targets: Targets, sigmas: Tensor, b: int, n: int, g: int) -> Tensor:
    assert dense.proxy is not None
    total, count = torch.zeros(()), 0
    for k in range(len(sigmas)):
        if targets.visible[b, g, k]:
            squared = (dense.proxy[b, n, k] - targets.keypoints[b, g, k]).square().sum()
            total = total + torch.exp(-squared / (2 * targets.areas[b, g] * (2 * sigmas[k]) ** 2))
            count += 1
    return total / max(count, 1)


SETTINGS: list[dict[str, Any]] = [
    {},
    {"use_keypoints_for_center": False, "dynamic_k": "iou"},
    {"min_k": 3, "center_radius": 1.0},
    {"min_k": 14, "candidate_topk": 4},
]


@pytest.mark.parametrize("setting", SETTINGS)
@pytest.mark.parametrize("seed", range(3))
def test_as_a_plain_loop(setting: dict[str, Any], seed: int) -> None:
    spec = SimOTA(**setting)
    dense, targets, sigmas = drawn(seed, classes=1 + seed)
    found = spec.assign(dense, targets, sigmas)
    ours = list(zip(found.image.tolist(), found.cell.tolist(), found.person.tolist(), strict=True))
    assert len(ours) > 3
    assert ours == slow(dense, targets, sigmas, spec)  # sorted: by image, then cell
    assert found.overlaps.isfinite().all()


def test_padding_and_neighbours_change_nothing() -> None:
    """An image alone, with its own persons only, is assigned as it is in a batch."""
    dense, targets, sigmas = drawn(7, images=5)
    whole = SimOTA().assign(dense, targets, sigmas)
    for b in range(5):
        count = int(targets.present[b].sum())
        one = Targets(**{f: getattr(targets, f)[b : b + 1, :count] for f in PER_PERSON})
        alone = SimOTA().assign(_image(dense, b), one, sigmas)
        assert torch.equal(alone.cell, whole.cell[whole.image == b])
        assert torch.equal(alone.person, whole.person[whole.image == b])
        assert torch.equal(alone.overlaps, whole.overlaps[whole.image == b])


PER_PERSON = ("boxes", "keypoints", "visible", "areas", "labels", "keypoint_weights", "present")


def _image(dense: Dense, b: int) -> Dense:
    assert dense.proxy is not None
    return Dense(
        cls=dense.cls[b : b + 1],
        box_raw=dense.box_raw[b : b + 1],
        boxes=dense.boxes[b : b + 1],
        proxy=dense.proxy[b : b + 1],
        vis=dense.vis[b : b + 1],
        pose=dense.pose[b : b + 1],
        points=dense.points,
        strides=dense.strides,
        canvas=dense.canvas,
    )


@pytest.mark.parametrize("persons", [0, 3])
def test_no_person_gives_no_positive(persons: int) -> None:
    dense, targets, sigmas = drawn(1, persons=3)
    targets.present[:] = False
    targets = Targets(**{f: getattr(targets, f)[:, :persons] for f in PER_PERSON})
    found = SimOTA().assign(dense, targets, sigmas)
    assert [len(v) for v in (found.image, found.cell, found.person, found.overlaps)] == [0, 0, 0, 0]
    assert found.person.dtype == torch.int64


def test_only_candidates_are_chosen_however_few() -> None:
    dense, targets, sigmas = drawn(2, images=1, persons=1)
    targets.present[:] = True
    candidate = matching_costs(dense, targets, sigmas, SimOTA()).candidate[0]
    found = SimOTA(min_k=50).assign(dense, targets, sigmas)
    assert 0 < len(found.cell) < 50
    assert torch.equal(found.cell, torch.nonzero(candidate)[:, 0])
    targets.boxes[0, 0] = torch.tensor([900.0, 900.0, 910.0, 910.0])
    targets.keypoints[0, 0] = 905.0
    assert not len(SimOTA(min_k=50).assign(dense, targets, sigmas).cell)


def test_autocast_changes_nothing() -> None:
    dense, targets, sigmas = drawn(3)
    plain = SimOTA(vis_weight=1.0).assign(dense, targets, sigmas)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        cast = SimOTA(vis_weight=1.0).assign(dense, targets, sigmas)
    assert torch.equal(plain.cell, cast.cell)
    assert torch.equal(plain.overlaps, cast.overlaps)
    assert cast.overlaps.dtype == torch.float32


def test_predictions_that_are_not_finite_are_the_last_choice() -> None:
    dense, targets, sigmas = drawn(4, images=1)
    targets.present[:] = True
    found = SimOTA().assign(dense, targets, sigmas)
    dense.boxes[0, found.cell[0]] = torch.inf
    dense.cls[0, found.cell[1]] = torch.nan
    again = SimOTA().assign(dense, targets, sigmas)
    assert again.overlaps.isfinite().all()
    assert not {int(found.cell[0]), int(found.cell[1])} & set(again.cell.tolist())


def test_a_contested_cell_goes_to_the_cheapest_of_all() -> None:
    """Cell 0 is the first choice of persons 0 and 1, yet person 2, who picks cell 1, would have it for least."""
    cost = torch.tensor([[[2.0, 2.0, 1.0], [9.0, 9.0, 0.5]]])
    everyone = torch.ones(1, 3, dtype=torch.bool)
    chosen = dynamic_k_match(cost, torch.zeros(1, 2, 3), torch.ones(1, 2, dtype=torch.bool), everyone, SimOTA())
    assert chosen.tolist() == [[2, 2]]


def test_refusals() -> None:
    dense, targets, sigmas = drawn(5)
    dense.proxy = None
    with pytest.raises(Refused, match="key points"):
        SimOTA().assign(dense, targets, sigmas)
    with pytest.raises(Refused, match="at least 1"):
        SimOTA(min_k=0)
