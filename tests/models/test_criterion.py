"""Losses of the tiny model against the recorded numbers, and what stops the reference."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from tests.models.steps import PHASES, SMALL, images, network, people
from tests.models.tiny import loaded, pixels, tiny
from tests.recorded import TINY, close, golden
from workbench.components.assigners.simota import SimOTA, dynamic_k_match, matching_costs
from workbench.components.coords.dcc import DCC
from workbench.components.losses.bbox_aux import raw_boxes
from workbench.components.losses.mle import laplace, mle
from workbench.components.losses.oks import oks_loss
from workbench.core.skeletons import COCO
from workbench.models.criterion import MatchedBatch, losses
from workbench.models.decode import detect
from workbench.models.network import Network
from workbench.models.published import published_name
from workbench.models.variant import Variant
from workbench.tensors import Assignment, Targets

CASES = sorted(path.stem for path in TINY.glob("train_stage*.npz"))


MEDIUM = {  # what the m and l configurations change
    "losses.MLE.weights": (0.01, 5.0, 5.0),
    "losses.VariFocal.weights": (1.0, 2.0, 2.0),
    "phases.1.overlaps_power": 1.0,
    "phases.2.overlaps_power": 1.0,
    "assigner.use_keypoints_for_center": False,
}


def targets(batch: str, mask: bool) -> Targets:
    g = golden("tiny/train_inputs")
    names = {"boxes": "bboxes", "keypoints": "keypoints", "visible": "keypoints_visible", "areas": "areas"}
    rows = {ours: [g[f"{batch}{i}_{name}"] for i in (0, 1)] for ours, name in names.items()}
    padded = {k: nn.utils.rnn.pad_sequence(v, batch_first=True) for k, v in rows.items()}
    counts = torch.tensor([[len(v)] for v in rows["boxes"]])
    present = torch.arange(int(counts.max())) < counts
    return Targets(
        **padded,
        labels=torch.zeros(present.shape, dtype=torch.int64),
        keypoint_weights=torch.ones_like(padded["visible"]),
        present=present,
        ignore=torch.stack([g["invalid_mask"], torch.zeros_like(g["invalid_mask"])]) if mask else None,
    )


class Step:
    """One forward with losses, as the reference did it."""

    def __init__(self, case: str) -> None:
        self.g = golden(f"tiny/{case}")
        words = case.removeprefix("train_").split("_")
        self.phase = int(words[0][-1]) - 1
        self.medium = "ml" in words
        self.network = loaded(tiny(**MEDIUM) if self.medium else tiny()).train()
        if "bneval" in words:
            for module in self.network.modules():
                if isinstance(module, nn.modules.batchnorm._BatchNorm):
                    module.eval()
        batch = "A" if "A" in words else "B"
        self.targets = targets(batch, mask="mask" in words)
        self.dense = self.network(pixels(golden("tiny/train_inputs")[f"{batch}_image_uint8_bgr_hwc"]))
        self.terms = losses(self.network, self.dense, self.targets, self.phase)
        self.after = {k: v.clone() for k, v in self.network.state_dict().items() if "running" in k}
        self.sigmas = torch.tensor(COCO.sigmas)
        assigner = self.network.variant.assigner
        assert isinstance(assigner, SimOTA)
        self.assigner = assigner
        with torch.no_grad():
            self.assigned: Assignment = assigner.assign(self.dense, self.targets, self.sigmas)
            self.matched = MatchedBatch(
                self.network,
                self.dense,
                self.targets,
                self.assigned,
                self.network.variant.phases[self.phase],
                self.sigmas,
            )


@cache
def step(case: str) -> Step:
    return Step(case)


def test_all_cases_are_here() -> None:
    assert len(CASES) == 10


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
def test_losses(case: str) -> None:
    s = step(case)
    expected = {k.removesuffix(".mean"): v for k, v in s.g.items() if k.startswith("loss_") and v.ndim == 0}
    assert set(s.terms) == set(expected)
    for name, value in expected.items():
        close(s.terms[name], value, what=name)
    close(torch.stack(list(s.terms.values())).sum(), s.g["total"], what="total")


@pytest.mark.parametrize("case", CASES)
def test_assignment(case: str) -> None:
    s, g = step(case), step(case).g
    found = matching_costs(s.dense, s.targets, s.sigmas, s.assigner)
    chosen = dynamic_k_match(found.cost, found.oks, found.candidate, s.targets.present, s.assigner)
    for i in range(2):
        prefix = f"assign{i}."
        persons = int(s.targets.present[i].sum())
        if not persons:
            assert not any(k.startswith(prefix) for k in g)
            assert (chosen[i] < 0).all()
            continue
        valid = g[prefix + "valid_mask"]
        assert torch.equal(found.candidate[i], valid)
        close(found.cost[i, valid, :persons], g[prefix + "cost"], what="cost")
        close(found.oks[i, valid, :persons], g[prefix + "pairwise"], what="oks")
        close(s.dense.cls[i].detach().sigmoid().sqrt(), g[prefix + "scores"], what="scores")
        best = found.oks[i, valid, :persons].topk(min(10, int(valid.sum())), 0).values.sum(0)
        assert torch.equal(best.int().clamp(min=1), g[prefix + "dynamic_ks"])
        assert torch.equal(chosen[i] + 1, g[prefix + "gt_inds"])
        positive = chosen[i] >= 0
        mine = found.oks[i, positive].gather(1, chosen[i, positive, None])[:, 0]
        close(mine, g[prefix + "max_overlaps"][positive], what="overlaps")
        assert (g[prefix + "max_overlaps"][~positive] <= 0).all()
        assert torch.equal(g[prefix + "labels"] == 0, positive)


@pytest.mark.parametrize("case", CASES)
def test_targets(case: str) -> None:
    s, g, m = step(case), step(case).g, step(case).matched
    a = s.assigned
    flat = a.image * 100 + a.cell
    assert torch.equal(flat, g["target.pos_index"])
    assert torch.equal(flat, g["target.pos_masks"].nonzero()[:, 0])
    assert float(m.positives) == float(g["num_samples"])
    assert a.image.bincount(minlength=2).tolist() == g["target.num_fg_imgs"].tolist()
    close(a.overlaps[:, None], g["target.cls_targets"], what="cls_targets")
    close(m.cls_target.flatten(0, 1), g["target.obj_targets"], what="obj_targets")
    close(m.cls_weight.flatten(0, 1), g["target.obj_weights"], what="obj_weights")
    close(m.gt_boxes, g["target.bbox_targets"], what="boxes")
    close(m.gt_keypoints, g["target.kpt_targets"], what="keypoints")
    close(m.visible, g["target.vis_targets"], what="visible")
    close(m.keypoint_weights, g["target.vis_weights"], what="weights")
    close(m.areas, g["target.pos_areas"], what="areas")
    where = torch.cat([m.cells.points, m.cells.strides[:, None].expand(-1, 2)], 1)
    assert torch.equal(where, g["target.pos_priors"])
    if "target.bbox_aux_targets" in g:
        close(raw_boxes(m.gt_boxes, m.cells.points, m.cells.strides), g["target.bbox_aux_targets"], what="aux")
        offsets = (m.gt_keypoints - m.cells.points[:, None]) / m.cells.strides[:, None, None]
        close(offsets, g["target.kpt_aux_targets"], what="aux")  # no published loss reads it
    overlaps = m.cls_target.flatten(0, 1)[flat] ** (1 / s.network.variant.phases[s.phase].overlaps_power)
    close(overlaps, g["overlaps"], what="overlaps")
    close(overlaps.mean(), g["overlaps.mean"], what="overlaps.mean")


@pytest.mark.parametrize("case", CASES)
def test_coordinates_of_positives(case: str) -> None:
    s, g = step(case), step(case).g
    found = s.matched.coords
    assert found.x is not None and found.y is not None and found.sigma is not None
    close(found.keypoints, g["dcc.kpt"], what="keypoints")
    close(found.sigma, g["dcc.sigma"], what="sigma")
    for i, axis in enumerate((found.x, found.y)):
        name = "xy"[i]
        n = len(g[f"dcc.{name}_prob"])
        close(axis.prob[:n], g[f"dcc.{name}_prob"], what="prob")
        near = laplace(axis.bins, s.matched.gt_keypoints[..., i], s.matched.areas, found.sigma)
        close(near[:n], g[f"dcc.target_{name}"], what="target")


@pytest.mark.parametrize("case", CASES)
def test_terms_of_each_positive(case: str) -> None:
    """loss_mle and loss_oks are recorded per positive, with the weight of the phase."""
    s, m = step(case), step(case).matched
    weight = {loss.term: loss.weights[s.phase] for loss in s.network.variant.losses}
    c = m.coords
    assert c.x is not None and c.y is not None and c.sigma is not None and m.cells.proxy is not None
    near = [laplace(a.bins, m.gt_keypoints[..., i], m.areas, c.sigma) for i, a in enumerate((c.x, c.y))]
    ours = mle(c.x.prob, c.y.prob, near[0], near[1], m.visible).mean(-1) * weight["loss_mle"]
    close(ours, s.g["loss_mle"], what="mle")
    ours = oks_loss(m.cells.proxy, m.proxy_target, m.proxy_weight, m.areas, m.sigmas) * weight["loss_oks"]
    close(ours, s.g["loss_oks"], what="oks")


@pytest.mark.parametrize("case", ["train_stage1_A", "train_stage2_B"])
def test_gradients_and_running_statistics(case: str) -> None:
    s = Step(case)
    after = {k.removeprefix("after."): v for k, v in s.g.items() if k.startswith("after.")}
    ours = {published_name(k): v for k, v in s.after.items()}
    assert after
    for name, value in after.items():
        close(ours[name], value, what=name)

    torch.stack(list(s.terms.values())).sum().backward()
    grads = {published_name(k): p.grad for k, p in s.network.named_parameters()}
    norms = json.loads((TINY / f"grad{case.replace('train_', 'norm_')}.json").read_text())
    assert set(norms) == set(grads)
    expected = {k.removeprefix("grad."): v for k, v in s.g.items() if k.startswith("grad.")}
    assert expected
    for name, value in expected.items():
        grad = grads[name]
        assert grad is not None, name
        close(grad, value, what=name)
    for name, norm in norms.items():
        grad = grads[name]
        if norm is None:
            assert grad is None or not grad.any(), name
        else:
            assert grad is not None, name
            assert float(grad.norm()) == pytest.approx(norm, rel=1e-3, abs=2e-4), name
    total = torch.stack([g.norm() for g in grads.values() if g is not None]).norm()
    assert float(total) == pytest.approx(float(s.g["grad_total_norm"]), rel=2e-4)


def test_every_array_of_training_is_compared() -> None:
    parts = ("loss_", "target.", "dcc.", "grad.", "after.", "total", "num_samples", "overlaps", "grad_total_norm")
    keys = {k for case in CASES for k in golden(f"tiny/{case}")}
    assert all(k.startswith((*parts, "assign0.", "assign1.")) for k in keys)


# Batches and settings that stop the reference implementation (the specification's section 13): here they train.


def trained(model: Network, given: Targets, phase: int, size: tuple[int, int] = (64, 64)) -> dict[str, Tensor]:
    """One step: every term is finite, and so is every gradient."""
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    optimiser = torch.optim.SGD(model.parameters(), lr=1e-6)
    terms = losses(model, model(images(len(given.boxes), size)), given, phase)
    wanted = {loss.term for loss in model.variant.losses if loss.weights[phase]}
    assert set(terms) == wanted
    assert all(term.ndim == 0 and term.isfinite() for term in terms.values())
    torch.stack(list(terms.values())).sum().backward()
    # a parameter without a gradient would stall training on several devices
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())
    optimiser.step()
    assert any(not torch.equal(before[name], p) for name, p in model.named_parameters())
    assert all(value.isfinite().all() for value in model.state_dict().values())
    return {name: term.detach() for name, term in terms.items()}


@pytest.mark.parametrize("phase", PHASES)
def test_a_batch_without_a_person(phase: int) -> None:
    terms = trained(network(), people((0, 0)), phase)
    assert terms["loss_cls"] > 0
    assert all(value == 0 for name, value in terms.items() if name != "loss_cls")


def test_a_batch_without_a_person_under_an_ignore_mask() -> None:
    given = people((0, 0))
    given.ignore = torch.ones(2, 64, 64)
    # published: where nobody is labelled, the mask does not count
    assert trained(network(), given, 2)["loss_cls"] == trained(network(), people((0, 0)), 2)["loss_cls"]


@pytest.mark.parametrize("coords", [SMALL["coords"], SMALL["coords"].vary({"dynamic_encoding": False})])
@pytest.mark.parametrize("phase", PHASES)
def test_exactly_one_positive(phase: int, coords: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    model, given = network(coords=coords), people((1, 0))

    def one(*_: object) -> Assignment:
        zero = torch.zeros(1, dtype=torch.int64)
        return Assignment(image=zero, cell=zero + 5, person=zero, overlaps=torch.tensor([0.3]))

    monkeypatch.setattr(type(model.variant.assigner), "assign", one)
    statistics = {k: v.clone() for k, v in model.coords.state_dict().items() if "running" in k}
    terms = trained(model, given, phase)
    assert terms["loss_bbox"] > 0
    # one person has no variance: the running statistics stay
    assert statistics and all(torch.equal(model.coords.state_dict()[k], v) for k, v in statistics.items())


@pytest.mark.parametrize("phase", PHASES)
def test_images_with_different_numbers_of_people(phase: int) -> None:
    trained(network(), people((3, 0, 1)), phase)


@pytest.mark.slow
@pytest.mark.parametrize("phase", PHASES)
def test_mle_off_with_proxy_targets(phase: int) -> None:
    off = network(**{"losses.MLE.weights": (0.0, 0.0, 0.0)})
    given = people((2, 1))
    terms = losses(off, off(images(2)), given, phase)
    assert "loss_mle" not in terms and all(term.isfinite() for term in terms.values())
    torch.stack(list(terms.values())).sum().backward()
    removed = network(**{"losses.MLE": None})
    same = losses(removed, removed(images(2)), given, phase)
    assert {k: float(v.detach()) for k, v in same.items()} == {k: float(v.detach()) for k, v in terms.items()}


@pytest.mark.slow
@pytest.mark.parametrize("term", ["VariFocal", "IoU", "Visibility", "OKS", "MLE", "BoxAux"])
@pytest.mark.parametrize("phase", PHASES)
def test_any_loss_may_be_missing(term: str, phase: int) -> None:
    model = network(**{f"losses.{term}": None})
    terms = losses(model, model(images(2)), people((2, 1)), phase)
    assert terms and all(value.isfinite() for value in terms.values())
    torch.stack(list(terms.values())).sum().backward()


@pytest.mark.parametrize("size", [(64, 128), (96, 32)])
@pytest.mark.parametrize("phase", PHASES)
def test_inputs_that_are_not_square(phase: int, size: tuple[int, int]) -> None:
    height, width = size
    given = people((1, 1), (max(height, 41), max(width, 41)))
    given.ignore = torch.zeros(2, height, width)
    given.ignore[0, :, width // 2 :] = 1
    model = network()
    dense = model(images(2, size))
    assert dense.canvas == size
    assert dense.points[:, 0].max() < width and dense.points[:, 1].max() < height
    trained(model, given, phase, size)
    found = detect(model.eval(), images(2, size), score_threshold=0.0, nms_threshold=1.0)
    cells = height * width // 256 + height * width // 1024
    assert [len(one) for one in found] == [cells, cells]
    assert all((one.boxes[:, [0, 2]] <= width).all() and (one.boxes[:, [1, 3]] <= height).all() for one in found)


def test_the_exact_mask_is_a_field() -> None:
    given = people((1, 1), (64, 128))
    given.ignore = torch.zeros(2, 64, 128)
    given.ignore[:, 40:] = 1
    published, exact = network(), network(**{"phases.2.exact_ignore": True})
    assert published.variant.key == Variant().vary(SMALL).key != exact.variant.key
    terms = [trained(model, given, 2, (64, 128)) for model in (published, exact)]
    assert terms[0]["loss_cls"] != terms[1]["loss_cls"]


@pytest.mark.parametrize("classes", [2, 5])
@pytest.mark.parametrize("phase", PHASES)
def test_several_classes(phase: int, classes: int) -> None:
    model = network(num_classes=classes)
    trained(model, people((classes, 1), classes=classes), phase)
    (found,) = detect(model.eval(), images(1), score_threshold=0.0, nms_threshold=1.0)
    assert len(found) == 20 and set(found.labels.tolist()) <= set(range(classes))


def test_a_class_is_learnt_where_its_person_is() -> None:
    model, given = network(num_classes=3), people((3,), classes=3)
    dense = model(images(1))
    sigmas = torch.tensor(COCO.sigmas)
    assigned = model.variant.assigner.assign(dense, given, sigmas)
    target = MatchedBatch(model, dense, given, assigned, model.variant.phases[0], sigmas).cls_target
    assert len(assigned.cell)
    for cell, person in zip(assigned.cell.tolist(), assigned.person.tolist(), strict=True):
        others = [c for c in range(3) if c != person]
        assert (target[0, cell, others] == 0).all()


@pytest.mark.parametrize("phase", PHASES)
def test_persons_without_visible_key_points(phase: int) -> None:
    given = people((2, 1))
    given.visible.zero_()
    trained(network(), given, phase)


@pytest.mark.parametrize("phase", PHASES)
def test_fourteen_key_points(phase: int) -> None:
    trained(network(num_keypoints=14), people((1, 2), keypoints=14), phase)


def test_default_attention_settings() -> None:
    """The reference's own default for the attention unit and an encoder without a transformer both stop it."""
    trained(network(coords=DCC()), people((1, 1)), 0)
    trained(network(**{"neck.transformer_encoder_layers": 0}), people((1, 1)), 0)
