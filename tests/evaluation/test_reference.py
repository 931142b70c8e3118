"""pycocotools itself on all kinds of data: the evaluator gives the same."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.evaluate import jittered, people
from tests.evaluation.agreement import assert_equals_pycocotools
from tests.evaluation.golden import GOLDEN, SETS, golden_detections, read
from tests.evaluation.real import shared
from tests.evaluation.scenes import awkward
from workbench.core.skeletons import COCO, CROWDPOSE
from workbench.data.synthetic.dataset import SyntheticScenes
from workbench.evaluation.coco_ap import evaluate_coco


@pytest.mark.parametrize("name", SETS)
def test_golden_detections_as_pycocotools(name: str) -> None:
    truth = read(GOLDEN / f"{name}_gt.json")
    assert_equals_pycocotools(truth, golden_detections(name), SETS[name].sigmas, crowd=name == "crowdpose")


@pytest.mark.slow
def test_real_persons_moved_about_as_pycocotools() -> None:
    truth = shared("coco", "annotations", "person_keypoints_val2017.json")
    assert_equals_pycocotools(truth, jittered(truth, np.random.default_rng(1)), COCO.sigmas)


def test_real_crowds_moved_about_as_pycocotools() -> None:
    truth = shared("crowdpose", "example_crowdpose_val.json")
    assert_equals_pycocotools(truth, jittered(truth, np.random.default_rng(2)), CROWDPOSE.sigmas, crowd=True)


def test_embedded_scenes_moved_about_as_pycocotools() -> None:
    truth = SyntheticScenes("hard", 64, count=30).coco()
    assert_equals_pycocotools(truth, jittered(truth, np.random.default_rng(3)), COCO.sigmas)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(12))
def test_awkward_cases_as_pycocotools(seed: int) -> None:
    assert_equals_pycocotools(*awkward(seed), COCO.sigmas)


def test_awkward_cases_are_awkward() -> None:
    """They hold what they are made for."""
    cases = [awkward(seed) for seed in range(12)]
    anns = [a for truth, _ in cases for a in truth["annotations"]]
    assert any(a["iscrowd"] for a in anns) and any(a["num_keypoints"] == 0 for a in anns)
    assert any(a["num_keypoints"] and not any(a["keypoints"][2::3]) for a in anns)
    assert any(len(one) and np.bincount(one.labels).max() > 20 for _, some in cases for one in some)
    records = [evaluate_coco(*case, COCO.sigmas).records for case in cases]
    assert 0.2 < np.concatenate([r.matched.ravel() for r in records]).mean() < 0.8
    assert 0.1 < np.concatenate([r.ignored.ravel() for r in records]).mean() < 0.5


def test_the_benchmark_holds_what_it_says() -> None:
    truth = people(40, np.random.default_rng(0))
    assert_equals_pycocotools(truth, jittered(truth, np.random.default_rng(1)), COCO.sigmas)
