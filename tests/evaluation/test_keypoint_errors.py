"""Errors of single key points: over all of them they are NME, over the same matches."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from benchmarks.evaluate import jittered
from tests.evaluation.golden import GOLDEN, SETS, golden_detections, read
from tests.evaluation.scenes import awkward
from workbench.core.skeletons import COCO
from workbench.data.synthetic.dataset import SyntheticScenes
from workbench.evaluation.coco_ap import evaluate_coco, evaluate_crowdpose
from workbench.evaluation.keypoint_errors import KeypointError, keypoint_errors


def together(errors: list[KeypointError]) -> float:
    known = [one for one in errors if one.points]
    return sum(one.points * one.nme for one in known) / sum(one.points for one in known)


@pytest.mark.parametrize("name", SETS)
def test_golden_detections(name: str) -> None:
    truth, found, crowd = read(GOLDEN / f"{name}_gt.json"), golden_detections(name), name == "crowdpose"
    expected = (evaluate_crowdpose if crowd else evaluate_coco)(truth, found, SETS[name].sigmas)
    errors = keypoint_errors(truth, found, SETS[name], crowdpose=crowd)
    assert together(errors) == pytest.approx(expected["NME"], rel=1e-9)
    assert sum(one.points for one in errors) == expected.records.error_count.sum()


@pytest.mark.parametrize("seed", range(4))
def test_awkward_cases(seed: int) -> None:
    truth, found = awkward(seed)
    expected = evaluate_coco(truth, found, COCO.sigmas)
    errors = keypoint_errors(truth, found, COCO)
    assert sum(one.points for one in errors) == expected.records.error_count.sum() > 0
    assert together(errors) == pytest.approx(expected["NME"], rel=1e-9)


def test_the_key_point_that_is_off_is_named() -> None:
    truth = SyntheticScenes("easy", 64, count=12).coco()
    found = [replace(one, keypoints=one.keypoints.copy()) for one in jittered(truth, np.random.default_rng(0))]
    for one in found:
        one.keypoints[:, 9] += 3
    errors = keypoint_errors(truth, found, COCO)
    assert [one.name for one in errors] == list(COCO.keypoints)
    assert max(errors, key=lambda one: one.pixels).name == COCO.keypoints[9]


def test_without_a_match_there_is_nothing_to_average() -> None:
    truth = SyntheticScenes("easy", 64, count=2).coco()
    for one in keypoint_errors(truth, [], COCO):
        assert one.points == 0 and math.isnan(one.nme) and math.isnan(one.pixels)
