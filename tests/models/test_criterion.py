"""Batches and settings that stop the reference implementation (the specification's section 13): here they train."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from tests.models.steps import PHASES, SMALL, images, network, people
from workbench.components.coords.dcc import DCC
from workbench.core.skeletons import COCO
from workbench.models.criterion import _Matched, losses
from workbench.models.decode import detect
from workbench.models.network import Network
from workbench.models.variant import Variant
from workbench.tensors import Assignment, Targets


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
    target = _Matched(model, dense, given, assigned, model.variant.phases[0], sigmas).cls_target
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
