"""The deployed form against the network that it is made from, on real predictions of the recorded tiny model."""

from __future__ import annotations

import copy
import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from tests.inference.tiny import LOW, SHAPES, crowd, disturbed, expected, found, network, same
from tests.models.tiny import pixels
from tests.recorded import TINY, golden
from tests.small import small_variant
from workbench.components.backbones.stdc import STDC
from workbench.components.backbones.timm_backbone import TimmBackbone
from workbench.components.blocks import FocusStem, RepVGG, fused
from workbench.components.necks.pafpn import PAFPN
from workbench.core.errors import Refused
from workbench.inference.deployed import Deployed, Selection, agreement, detections, exported_survivors, lean
from workbench.models import catalog
from workbench.models.decode import keep
from workbench.models.network import Network
from workbench.models.published import published_name
from workbench.tensors import Detections

# --- folding


def test_recorded_deployed_form_has_our_names_and_shapes() -> None:
    recorded = json.loads((TINY / "deploy_keys.json").read_text())
    theirs = {k: s for k, s in recorded["keys"].items() if k not in ("neck.pos_enc_0", "head.loss_oks.sigmas")}
    ours = {published_name(k): list(v.shape) for k, v in fused(network()).state_dict().items()}
    norm = {k: s for k, s in ours.items() if k.startswith("head.dcc.pose_to_kpts")}
    assert {k: s for k, s in ours.items() if k not in norm} == {
        k: s for k, s in theirs.items() if "pose_to_kpts" not in k
    }

    linear: Any = lean(network()).coords.get_submodule("pose_to_kpts.0")
    assert list(linear.weight.shape) == theirs["head.dcc.pose_to_kpts.weight"]
    assert list(linear.bias.shape) == theirs["head.dcc.pose_to_kpts.bias"]


def _but(word: str, shapes: dict[str, list[int]]) -> dict[str, list[int]]:
    return {name: shape for name, shape in shapes.items() if word not in name}


def test_lean_network_answers_as_closely_as_the_recorded_deployed_form() -> None:
    recorded = json.loads((TINY / "deploy_keys.json").read_text())["max_abs_diff_vs_eager"]
    images = pixels(golden("tiny/inference")["image_uint8_bgr_nhwc"])
    with torch.no_grad():
        ours, theirs = lean(network())(images), network()(images)
    limits = {"cls": "cls", "box_raw": "bbox", "vis": "kpt_vis", "pose": "pose_vec"}
    for name, published in limits.items():
        difference = float((getattr(ours, name) - getattr(theirs, name)).abs().max())
        assert 0 < difference < 20 * recorded[f"head_{published}_s16"], name  # theirs folds no plain convolutions


def test_nothing_of_training_is_left_and_the_network_stays_as_it_is() -> None:
    before = copy.deepcopy(network().state_dict())
    small = lean(network())
    kinds = {type(module) for module in small.modules()}
    assert not kinds & {nn.BatchNorm2d, FocusStem, RepVGG}
    assert not any(isinstance(module, nn.BatchNorm1d) for module in small.modules())
    assert all(torch.equal(value, before[name]) for name, value in network().state_dict().items())
    assert len(list(small.parameters())) < len(list(network().parameters()))


@pytest.mark.slow
@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"backbone": STDC(size="nano"), "neck": PAFPN(width=0.125, depth=0.33, out_channels=32)},
        {"backbone": TimmBackbone(name="resnet10t")},
    ],
    ids=["csp darknet", "stdc and pafpn", "timm"],
)
def test_lean_networks_of_other_parts(changes: dict[str, object]) -> None:
    net = disturbed(Network(small_variant(**changes), seed=0))
    images = 255 * torch.rand(2, 3, 64, 96, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        for ours, theirs in zip(lean(net).towers(images).pose, net.towers(images).pose, strict=True):
            torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4)
    same(found(Deployed(net), images), expected(images, Selection(), net))


# --- persons


@pytest.mark.slow
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_persons_are_those_of_the_network(shape: tuple[int, int, int]) -> None:
    images = crowd(*shape)
    theirs = expected(images, LOW)
    assert len({len(one) for one in theirs}) == min(shape[0], 3) or shape[0] > 3  # images differ in their numbers
    assert sum(map(len, theirs)) > 3
    same(found(Deployed(network(), LOW), images), theirs)


@pytest.mark.parametrize("shape", SHAPES[:2], ids=str)
def test_a_fixed_number_of_rows_holds_the_same_persons(shape: tuple[int, int, int]) -> None:
    images, most = crowd(*shape), 8
    chosen = Selection(score_threshold=0.1, max_persons=most)
    dets, keypoints = Deployed(network(), chosen, fixed=True)(images)
    assert dets.shape == (shape[0], most, 5) and keypoints.shape == (shape[0], most, 17, 3)
    theirs = found(Deployed(network(), chosen), images)
    assert len(theirs[0]) == most and all(len(one) == 0 for one in theirs[1:])
    same(detections(dets.numpy(), keypoints.numpy()), theirs, pixels=1e-3)
    assert not dets[1:].any() and not keypoints[1:].any()


def test_persons_are_the_recorded_ones() -> None:
    g = golden("tiny/inference")
    ours = found(Deployed(network()), pixels(g["image_uint8_bgr_nhwc"]))
    for i, one in enumerate(ours):
        np.testing.assert_allclose(one.keypoints, g[f"pred_default_img{i}_keypoints"].numpy(), rtol=0, atol=0.05)
        np.testing.assert_allclose(one.boxes, g[f"pred_default_img{i}_bboxes"].numpy(), rtol=0, atol=0.05)
        np.testing.assert_allclose(one.scores, g[f"pred_default_img{i}_bbox_scores"].numpy(), rtol=0, atol=1e-4)


def test_rows_without_a_person_are_zeros() -> None:
    images = crowd(2, 128, 160)
    dets, keypoints = Deployed(network())(images)
    counts = [len(one) for one in expected(images, Selection())]
    assert dets.shape == (2, max(counts), 5) and keypoints.shape == (2, max(counts), 17, 3)
    assert counts[1] == 0 and not dets[1].any() and not keypoints[1].any()
    dets, keypoints = Deployed(network())(images[1:])
    assert dets.shape == (1, 1, 5) and not dets.any() and keypoints.shape == (1, 1, 17, 3)


@pytest.mark.slow
def test_best_persons_stay_where_there_are_too_many() -> None:
    images = crowd(2, 128, 160).flip(0)  # the first image has none
    few = found(Deployed(network(), Selection(max_persons=3)), images)
    every = found(Deployed(network()), images)
    assert [len(one) for one in few] == [0, 3] and len(every[1]) > 3
    np.testing.assert_array_equal(few[1].scores, every[1].scores[:3])
    np.testing.assert_allclose(few[1].keypoints, every[1].keypoints[:3], rtol=0, atol=1e-3)


def test_survivors_follow_the_published_rules() -> None:
    images = crowd(2, 128, 160)
    with torch.no_grad():
        dense = network()(images)
    image, cell, *_ = keep(dense, 0.003, 0.3, 100_000)
    rows = exported_survivors(dense.boxes, dense.cls[..., 0].sigmoid(), 0.003, 0.3, 100)
    assert torch.equal(rows, torch.stack((image, cell), 1)) and len(rows) > 3


@pytest.mark.parametrize("name", sorted(catalog.discover()["coords"]))
def test_every_coordinate_stage_can_be_deployed(name: str) -> None:
    stage = catalog.discover()["coords"][name]()
    losses = {f"losses.{loss}": None for loss in ("MLE", "OKS")}
    phases = {"phases.1.proxy": False, "phases.2.proxy": False}
    net = disturbed(Network(small_variant(coords=stage, **losses, **phases), seed=0))
    images = 255 * torch.rand(2, 3, 64, 96, generator=torch.Generator().manual_seed(1))
    theirs = expected(images, Selection(), net)
    assert sum(map(len, theirs)) > 0
    same(found(Deployed(net), images), theirs)


def test_rounded_trunk_finds_the_same_persons() -> None:
    images = crowd(1, 128, 160)
    theirs = expected(images, Selection(score_threshold=0.3))
    ours = found(Deployed(network(), Selection(score_threshold=0.3), torch.bfloat16), images)
    seen = agreement(ours, theirs)
    assert seen.persons > 1 and seen.missing == 0
    assert 0 < seen.median < 1.0  # pixels


# --- comparison


def persons(*boxes: Sequence[float], shift: float = 0.0) -> Detections:
    corners = np.array(boxes, np.float32).reshape(-1, 4)
    points = np.stack([corners[:, :2], corners[:, 2:]], 1) + np.float32(shift)
    ones = np.ones(len(corners), np.float32)
    return Detections(
        boxes=corners, scores=ones, labels=ones.astype(np.int64), keypoints=points, keypoint_scores=points[..., 0]
    )


def test_agreement_counts_and_measures() -> None:
    left, right, far = (0, 0, 10, 10), (20, 0, 30, 10), (50, 50, 60, 60)
    ours = [persons(right, left, shift=3.0), persons(), persons(far)]
    theirs = [persons(left, right), persons(left), persons()]
    seen = agreement(ours, theirs)
    assert (seen.persons, seen.missing, seen.extra) == (3, 1, 1)
    assert seen.median == seen.most == pytest.approx(3 * 2**0.5)
    assert "1 missing, 1 new" in str(seen) and "missing" not in str(agreement(theirs, theirs))
    assert agreement([persons()], [persons()]).most == 0.0


def test_nobody_to_compare_is_no_agreement() -> None:
    left, far = (0, 0, 10, 10), (50, 50, 60, 60)
    assert str(agreement([persons()], [persons()])) == "0 persons; nobody to compare, so this says nothing"
    said = str(agreement([persons(far)], [persons(left)]))
    assert said == "1 persons, 1 missing, 1 new; nobody to compare, so this says nothing"
    assert "differ by 0.0000 px" in str(agreement([persons(left)], [persons(left)]))


# --- refusals


@pytest.mark.parametrize(
    "wrong",
    [
        {"score_threshold": 1.0},
        {"score_threshold": -0.1},
        {"nms_threshold": 0.0},
        {"nms_threshold": 1.1},
        {"max_persons": 0},
    ],
    ids=str,
)
def test_impossible_selections_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(Refused, match="expected"):
        Selection(**wrong)


def test_several_classes_are_refused() -> None:
    with pytest.raises(Refused, match="2 classes"):
        Deployed(Network(small_variant(num_classes=2), seed=0))
