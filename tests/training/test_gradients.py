"""Gradients of each loss by part: the parts are the right parameters, the shares those of a slow, obvious way."""

from __future__ import annotations

import copy
import math

import pytest
import torch

from tests.small import small_job
from workbench.components.losses.kld import KLD
from workbench.models.criterion import losses
from workbench.models.job import Job
from workbench.models.network import Network
from workbench.models.trunk import freeze
from workbench.slots import Towers
from workbench.tensors import Batch
from workbench.training.gradients import BOX, STAGE, TOWERS, TRUNK, gradient_shares, parts
from workbench.training.source import open_source


@pytest.fixture(scope="module")
def job() -> Job:
    return small_job().vary({"variant.losses.MLE": None, "variant.losses.KLD": KLD()})


@pytest.fixture(scope="module")
def batch(job: Job, tmp_path_factory: pytest.TempPathFactory) -> Batch:
    return next(iter(open_source(job, 0, tmp_path_factory.mktemp("home")).train(0)))


def test_parts_are_told_apart_by_what_depends_on_them(job: Job, batch: Batch) -> None:
    network = Network(job.variant, 0)
    found = parts(network, batch.images)
    names = {id(p): name for name, p in network.named_parameters()}
    begin = {part: {".".join(names[id(p)].split(".")[:2]) for p in ps} for part, ps in found.items()}
    assert {name.split(".")[0] for name in begin[TRUNK]} == {"backbone", "neck"}
    assert begin[TOWERS] == {"head.conv_cls", "head.conv_pose"}
    assert begin[BOX] == {"head.out_bbox"}
    assert "head.out_pose" in begin[STAGE] and {n.split(".")[0] for n in begin[STAGE]} == {"head", "coords"}
    every = [id(p) for ps in found.values() for p in ps]
    assert len(every) == len(set(every))


def test_frozen_parts_are_left_out(job: Job, batch: Batch) -> None:
    network = Network(job.variant, 0)
    with torch.no_grad():
        towers = network.eval().towers(batch.images)
    freeze(network)
    assert isinstance(towers, Towers) and set(parts(network, towers)) == {STAGE}


@pytest.mark.slow
def test_shares_are_those_of_each_term_alone(job: Job, batch: Batch) -> None:
    network, slow = Network(job.variant, 0), {}
    found = gradient_shares(copy.deepcopy(network), [batch], [0])[0].shares
    for term in found[BOX]:
        alone = copy.deepcopy(network).train()
        losses(alone, alone(batch.images), batch.targets, 0)[term].backward()
        slow[term] = {
            part: math.sqrt(sum(float(p.grad.square().sum()) for p in ps if p.grad is not None))
            for part, ps in parts(alone, batch.images).items()
        }
    for part, shares in found.items():
        total = sum(norms[part] for norms in slow.values())
        assert shares == pytest.approx({term: norms[part] / total for term, norms in slow.items()}, rel=1e-3, abs=1e-6)
    assert found[STAGE]["loss_kld"] == 1.0 and 0 < found[TRUNK]["loss_kld"] < 1


@pytest.mark.slow
def test_a_loss_on_bins_reaches_the_boxes_only_through_their_encoding(job: Job, batch: Batch) -> None:
    """The target is detached, so without sines of the bins nothing leads from KLD to the box."""
    ways = {"sines": {}, "static": {"dynamic_encoding": False}, "detached": {"box_gradient": False}}
    shares = {}
    for name, fields in ways.items():
        variant = job.variant.vary({f"coords.{field}": value for field, value in fields.items()})
        shares[name] = gradient_shares(Network(variant, 0), [batch], [0])[0].shares[BOX]["loss_kld"]
    assert shares["sines"] > 0.01 and shares["static"] == shares["detached"] == 0.0


@pytest.mark.slow
def test_phases_are_judged_on_the_same_weights_and_cells(job: Job, batch: Batch) -> None:
    variant = job.variant.vary({"losses.OKS.weights": (30.0, 0.0, 10.0)})
    found = gradient_shares(Network(variant, 0), [batch, batch], [0, 1])
    assert found[0].positives == found[1].positives > 1
    assert (found[0].stage_oks, found[0].branch_oks) == (found[1].stage_oks, found[1].branch_oks)
    assert 0 < found[0].stage_oks < 1 and 0 < found[0].branch_oks < 1 and found[0].stage_oks != found[0].branch_oks
    assert "loss_oks" in found[0].shares[TRUNK] and "loss_oks" not in found[1].shares[TRUNK]


def test_an_image_without_persons_moves_no_stage(job: Job, batch: Batch) -> None:
    empty = copy.deepcopy(batch)
    empty.targets.present[:] = False
    found = gradient_shares(Network(job.variant, 0), [empty], [0])[0]
    assert found.positives == 0 and set(found.shares[STAGE].values()) == {0.0}
    assert math.isnan(found.stage_oks) and found.shares[TRUNK]["loss_cls"] == pytest.approx(1.0)
