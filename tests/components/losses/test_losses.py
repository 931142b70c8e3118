"""Losses against the reference's numbers and gradients, against plain sums, and at the edges of a batch."""

from __future__ import annotations

import math
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from workbench.components.losses import bbox_aux, heatmap, iou, kld, mle, oks, proxy_l1, varifocal, visibility
from workbench.components.similarity import keypoint_similarity
from workbench.core.errors import Refused
from workbench.slots import Loss, Matched
from workbench.tensors import Axis, Cells, Coordinates, Dense

PIECES = Path(__file__).parents[2] / "golden" / "pieces"
torch.set_num_threads(1)


def piece(name: str) -> dict[str, Tensor]:
    with np.load(PIECES / f"{name}.npz") as stored:
        return {k: torch.from_numpy(np.asarray(stored[k])) for k in stored.files}


def close(ours: Tensor, theirs: Tensor) -> None:
    torch.testing.assert_close(ours, theirs, rtol=0, atol=2e-4 * max(1.0, float(theirs.detach().abs().max())))


def test_varifocal_as_the_reference() -> None:
    g = piece("loss_varifocal")
    logits = g["logit"].requires_grad_()
    loss = varifocal.varifocal(logits, g["target"]) * g["weight"]
    close(loss, g["loss_none"])
    close(loss.sum(), g["loss_sum"])
    loss.sum().backward()
    assert logits.grad is not None
    close(logits.grad, g["grad"])


@pytest.mark.parametrize("mode", get_args(iou.IoUMode))
def test_iou_as_the_reference(mode: iou.IoUMode) -> None:
    g = piece("loss_iou")
    boxes = g["pred"].requires_grad_()
    loss = iou.IoU().weights[0] * iou.iou_loss(boxes, g["target"], mode).sum()
    close(loss, g[f"loss_{mode}"])
    loss.backward()
    assert boxes.grad is not None
    close(boxes.grad, g[f"grad_{mode}"])


def test_visibility_as_the_reference() -> None:
    g = piece("loss_bce_vis")
    logits = g["logit"].requires_grad_()
    loss = visibility.visibility_loss(logits, g["target"], g["weight"])
    close(loss, g["loss"])
    loss.backward()
    assert logits.grad is not None
    close(logits.grad, g["grad"])


@pytest.mark.parametrize("data", ["coco", "crowdpose"])
def test_oks_as_the_reference(data: str) -> None:
    g = piece(f"loss_oks_{data}")
    points = g["pred"].requires_grad_()
    rest = g["target"], g["vis"], g["areas"], g["sigmas"]
    loss = oks.OKS().weights[0] * oks.oks_loss(points, *rest)
    close(loss, g["loss_none"])
    close(30 * oks.oks_loss(points, *rest, normalize="visible"), g["loss_none_norm_target_weight"])
    close(keypoint_similarity(points, *rest), g["pose_oks_aligned"])
    every = keypoint_similarity(points[:, None], rest[0][None], rest[1][None], rest[2][None], rest[3])
    close(every, g["pose_oks_pairwise"])
    loss.sum().backward()
    assert points.grad is not None
    close(points.grad, g["grad"])


def test_l1_as_the_reference() -> None:
    g = piece("loss_l1")
    values = g["pred"].requires_grad_()
    loss = bbox_aux.l1(values, g["target"]).sum()
    close(loss, g["loss"])
    loss.backward()
    assert values.grad is not None
    close(values.grad, g["grad"])


@pytest.mark.parametrize("mode", get_args(mle.MLEMode))
def test_mle_as_the_reference(mode: mle.MLEMode) -> None:
    g = piece("loss_mle")
    loss = mle.mle(g["pred_x"], g["pred_y"], g["target_x"], g["target_y"], g["vis"], mode)
    close(loss, g[f"{mode}_none"])
    close(loss.mean(-1), g[f"{mode}_mean"])
    close(loss.sum(-1), g[f"{mode}_sum"])


@pytest.mark.parametrize(("beta", "softmax", "name"), [(1.0, False, "beta1_ls0"), (10.0, True, "beta10_ls1")])
def test_kl_discret_as_the_reference(beta: float, softmax: bool, name: str) -> None:
    g = piece("loss_kl_discret")
    x, y = g["pred_x"].requires_grad_(), g["pred_y"].requires_grad_()
    axes = ((x, g["target_x"]), (y, g["target_y"]))
    targets = [(10 * t).softmax(-1) if softmax else t for _, t in axes]
    both = [kld.kl_discrete(beta * p, t) / p.shape[-1] for (p, _), t in zip(axes, targets, strict=True)]
    total = both[0] + both[1]
    loss = (total * g["weight"]).sum() / x.shape[1]
    close(loss, g[f"loss_{name}"])
    if softmax:
        close(total.sum() / x.shape[1], g[f"loss_{name}_noweight"])
    loss.backward()
    assert x.grad is not None and y.grad is not None
    close(x.grad, g[f"grad_x_{name}"])
    close(y.grad, g[f"grad_y_{name}"])


def test_laplace_is_what_the_formula_says() -> None:
    bins, truth = torch.tensor([[10.0, 20.0, 40.0]]), torch.tensor([[20.0, 25.0]])
    near = mle.laplace(bins, truth, torch.tensor([400.0]), torch.tensor([[0.05, 0.0]]))
    close(near[0, 0], torch.tensor([math.exp(-10 / 2), 1.0, math.exp(-20 / 2)]) / 0.05)
    assert torch.equal(near[0, 1], torch.tensor([math.exp(-15 / 0.04), math.exp(-5 / 0.04), 0.0]) / 1e-3)


def test_gaussian_follows_the_bins() -> None:
    bins = torch.stack([torch.linspace(0, 95, 20), torch.linspace(50, 69, 20)])  # 5 px and 1 px apart
    truth = torch.tensor([[50.0, 98.0, -2.4], [60.0, 69.6, 49.6]])
    target, inside = kld.gaussian(bins, truth, width=2.0)
    close(target.sum(-1), torch.ones(2, 3))
    close(target[0, 0], target[1, 0])  # both on bin 10: the width is in bins
    assert math.isclose(float(target[0, 0, 12] / target[0, 0, 10]), math.exp(-0.5), rel_tol=1e-4)
    assert inside.tolist() == [[True, False, True], [True, False, True]]


def test_grid_gaussian_is_separable_and_follows_the_cells() -> None:
    x, y = torch.linspace(0, 40, 5), torch.linspace(100, 160, 4)  # cells of 10 x 20 px
    bins = torch.cartesian_prod(y, x).flip(-1)[None]
    truth = torch.tensor([[[20.0, 120.0], [44.0, 169.0], [46.0, 120.0], [20.0, 171.0]]])
    target, inside = heatmap.gaussian_grid(bins, truth, width=0.7)
    assert inside.tolist() == [[True, True, False, False]]
    along = (-((torch.arange(5) - 2.0) ** 2) / (2 * 0.49)).softmax(0)
    down = (-((torch.arange(4) - 1.0) ** 2) / (2 * 0.49)).softmax(0)
    close(target[0, 0], torch.outer(down, along).flatten())


WIDE, HIGH, COLUMNS, ROWS, KEYPOINTS = 12, 16, 4, 3, 5


class Fixed(Matched):
    """What a criterion would hand out for `count` positives, of random numbers. `leaves` need gradients."""

    def __init__(self, count: int, seed: int = 0) -> None:
        rng = torch.Generator().manual_seed(seed)
        self.leaves: dict[str, Tensor] = {}

        def leaf(name: str, *shape: int, scale: float = 1.0) -> Tensor:
            self.leaves[name] = (torch.randn(*shape, generator=rng) * scale).requires_grad_()
            return self.leaves[name]

        self.cls_target = torch.zeros(2, 6, 1)
        self.cls_target.view(-1)[:count] = 0.6
        self.cls_weight = torch.ones(2, 6, 1)
        self.positives = torch.tensor(float(max(count, 1)))
        self.sigmas = torch.full((KEYPOINTS,), 0.07)
        self.gt_keypoints = 32 + 10 * torch.randn(count, KEYPOINTS, 2, generator=rng)
        self.gt_boxes = torch.cat([self.gt_keypoints.amin(1), self.gt_keypoints.amax(1)], -1)
        self.visible = (torch.rand(count, KEYPOINTS, generator=rng) > 0.3).float()
        self.areas = torch.full((count,), 400.0)
        self.keypoint_weights = torch.ones(count, KEYPOINTS)
        self.proxy_target, self.proxy_weight = self.gt_keypoints, self.visible
        self.vis = leaf("vis", count, KEYPOINTS)
        self.box_raw = leaf("box_raw", count, 4, scale=0.3)
        boxes = self.gt_boxes + leaf("boxes", count, 4, scale=2.0)
        proxy = self.gt_keypoints + leaf("proxy", count, KEYPOINTS, 2, scale=2.0)
        points, strides = torch.full((count, 2), 30.0), torch.full((count,), 16.0)
        pose = torch.zeros(count, 3)
        self.cells = Cells(pose=pose, boxes=boxes, points=points, strides=strides, proxy=proxy, canvas=(64, 64))
        cls = leaf("cls", 2, 6, 1)
        every = torch.zeros(2, 6, 4)
        self.dense = Dense(
            cls=cls,
            box_raw=every,
            boxes=every,
            proxy=None,
            vis=every,
            pose=every,
            points=torch.zeros(6, 2),
            strides=torch.ones(6),
            canvas=(64, 64),
        )
        low, span = boxes[:, None, :2], boxes[:, None, 2:] - boxes[:, None, :2]
        bins = [low[..., i] + span[..., i] * torch.linspace(-0.1, 1.1, n) for i, n in ((0, WIDE), (1, HIGH))]
        logits = [leaf("x", count, KEYPOINTS, WIDE), leaf("y", count, KEYPOINTS, HIGH)]
        x, y = (Axis(logits=z, prob=z.softmax(-1), bins=b) for z, b in zip(logits, bins, strict=True))
        places = torch.cartesian_prod(torch.linspace(0, 1, ROWS), torch.linspace(0, 1, COLUMNS)).flip(-1)
        z = leaf("grid", count, KEYPOINTS, ROWS * COLUMNS)
        grid = Axis(logits=z, prob=z.softmax(-1), bins=(low + places * span).detach())
        sigma = 0.1 * leaf("sigma", count, KEYPOINTS).sigmoid()
        self.coords = Coordinates(keypoints=self.gt_keypoints, sigma=sigma, x=x, y=y, grid=grid)


EVERY: dict[type[Loss], set[str]] = {  # and what each teaches
    varifocal.VariFocal: {"cls"},
    iou.IoU: {"boxes"},
    visibility.Visibility: {"vis"},
    oks.OKS: {"proxy"},
    mle.MLE: {"x", "y", "sigma", "boxes"},
    kld.KLD: {"x", "y"},
    bbox_aux.BoxAux: {"box_raw"},
    proxy_l1.ProxyL1: {"proxy"},
    heatmap.Heatmap: {"grid"},
}


@pytest.mark.parametrize("cls", EVERY)
@pytest.mark.parametrize("count", [0, 1, 3])
@pytest.mark.parametrize("cast", [False, True])
def test_any_number_of_positives(cls: type[Loss], count: int, cast: bool) -> None:
    matched = Fixed(count)
    matched.visible[:1, 0] = 1
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=cast):
        term = cls()(matched)
    assert term.shape == () and term.dtype == torch.float32 and term.isfinite()
    if not count and cls is not varifocal.VariFocal:
        assert term == 0
    term.backward()
    taught = {name for name, leaf in matched.leaves.items() if leaf.grad is not None}
    assert taught == EVERY[cls] if count else taught
    for name in taught:
        grad = matched.leaves[name].grad
        assert grad is not None and grad.isfinite().all()
        assert grad.any() or not count


@pytest.mark.parametrize("cls", [c for c in EVERY if c is not varifocal.VariFocal])
def test_invisible_key_points_teach_no_coordinates(cls: type[Loss]) -> None:
    matched = Fixed(2)
    matched.visible[:] = 0
    cls()(matched).backward()
    teaches = any(leaf.grad is not None and leaf.grad.any() for leaf in matched.leaves.values())
    assert teaches == (cls in (iou.IoU, visibility.Visibility, bbox_aux.BoxAux))


def test_terms_have_the_published_names_and_weights() -> None:
    published = {
        "loss_cls": (1.0, 1.0, 1.0),
        "loss_bbox": (5.0, 5.0, 5.0),
        "loss_vis": (1.0, 1.0, 1.0),
        "loss_oks": (30.0, 10.0, 10.0),
        "loss_mle": (1.0, 5.0, 5.0),
        "loss_bbox_aux": (0.0, 0.0, 1.0),
    }
    ours = {cls.term: cls().weights for cls in EVERY}
    assert len(ours) == len(EVERY)
    assert {term: ours[term] for term in published} == published


def test_varifocal_counts_cells_by_their_weight() -> None:
    matched = Fixed(2)
    whole = varifocal.VariFocal()(matched)
    matched.cls_weight = torch.zeros(2, 6, 1)
    assert varifocal.VariFocal()(matched) == 0
    matched.cls_weight[0, 0] = 1
    assert 0 < varifocal.VariFocal()(matched) < whole


def test_bbox_aux_as_the_formula_says() -> None:
    matched = Fixed(3)
    total = 0.0
    for raw, box in zip(matched.box_raw.tolist(), matched.gt_boxes.tolist(), strict=True):
        x1, y1, x2, y2 = box
        want = ((x1 + x2) / 2 - 30) / 16, ((y1 + y2) / 2 - 30) / 16, math.log((x2 - x1) / 16), math.log((y2 - y1) / 16)
        total += sum(abs(a - b) for a, b in zip(raw, want, strict=True))
    close(bbox_aux.BoxAux()(matched), torch.tensor(total / 3))


def test_proxy_l1_as_the_formula_says() -> None:
    matched = Fixed(3)
    assert matched.cells.proxy is not None
    offset = (matched.cells.proxy - matched.gt_keypoints).abs().sum(-1) / 20
    close(proxy_l1.ProxyL1()(matched), offset[matched.visible > 0].mean())


def test_mle_as_a_plain_loop() -> None:
    matched = Fixed(3)
    x, y, sigma = matched.coords.x, matched.coords.y, matched.coords.sigma
    assert x is not None and y is not None and sigma is not None
    total = torch.zeros(())
    for p in range(3):
        for k in range(KEYPOINTS):
            if matched.visible[p, k]:
                s, a = sigma[p, k].clamp(min=1e-3), matched.areas[p].sqrt()
                density = torch.ones(())
                for axis, truth in zip((x, y), matched.gt_keypoints[p, k], strict=True):
                    near = torch.exp(-(axis.bins[p] - truth).abs() / (2 * a * s)) / s
                    density = density * (axis.prob[p, k] * near).sum()
                total = total - torch.log(density + 1e-4)
    close(mle.MLE()(matched), total / KEYPOINTS / 3)
    close(mle.MLE(normalize="visible")(Fixed(1)) * Fixed(1).visible.sum(), mle.MLE()(Fixed(1)) * KEYPOINTS)


def test_mle_can_leave_the_boxes_alone() -> None:
    matched = Fixed(2)
    mle.MLE(detach_boxes=True)(matched).backward()
    assert matched.leaves["boxes"].grad is None
    assert matched.leaves["sigma"].grad is not None
    close(mle.MLE(detach_boxes=True)(matched), mle.MLE()(matched))


def test_kld_is_the_divergence_from_the_target() -> None:
    matched = Fixed(3)
    total = torch.zeros(())
    for axis, truth in (
        (matched.coords.x, matched.gt_keypoints[..., 0]),
        (matched.coords.y, matched.gt_keypoints[..., 1]),
    ):
        assert axis is not None
        target, inside = kld.gaussian(axis.bins, truth, 1.5)
        each = F.kl_div(axis.logits.log_softmax(-1), target, reduction="none").sum(-1)
        total = total + (each * inside * matched.visible).sum()
    close(kld.KLD(width=1.5)(matched), total / KEYPOINTS / 3)


def test_kld_and_heatmap_are_least_at_their_target() -> None:
    matched = Fixed(2)
    x, y, grid = matched.coords.x, matched.coords.y, matched.coords.grid
    assert x is not None and y is not None and grid is not None
    before = heatmap.Heatmap()(matched)
    x.logits = kld.gaussian(x.bins, matched.gt_keypoints[..., 0], 2.0)[0].log()
    y.logits = kld.gaussian(y.bins, matched.gt_keypoints[..., 1], 2.0)[0].log()
    grid.logits = heatmap.gaussian_grid(grid.bins, matched.gt_keypoints, 0.7)[0].log()
    close(kld.KLD()(matched), torch.zeros(()))
    assert heatmap.Heatmap()(matched) < before


def test_refusals() -> None:
    matched = Fixed(2)
    matched.coords = Coordinates(keypoints=matched.gt_keypoints)
    matched.cells.proxy = None
    for cls in (mle.MLE, kld.KLD, heatmap.Heatmap, oks.OKS, proxy_l1.ProxyL1):
        with pytest.raises(Refused, match=r"remove the loss|does not offer"):
            cls()(matched)
    for cls in (kld.KLD, heatmap.Heatmap):
        with pytest.raises(Refused, match="above 0"):
            cls(width=0.0)
