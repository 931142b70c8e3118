"""Matching: equal OKS, equal persons, and sizes at the ends of their ranges."""

from __future__ import annotations

import numpy as np

from tests.evaluation.agreement import assert_equals_pycocotools
from tests.evaluation.scenes import found, person, scene
from workbench.core.skeletons import COCO
from workbench.evaluation.coco_ap import evaluate_coco
from workbench.evaluation.matching import PERSON_SIZES, outside
from workbench.evaluation.records import OKS_THRESHOLDS


def test_an_oks_that_equals_the_threshold_matches() -> None:
    """Of ten labelled key points some are where they should be and the others far away: OKS is 0.5, 0.6 ... exactly."""
    one = person(1, 0, 50)
    one["keypoints"][30:] = [0] * 21
    for right in range(5, 10):
        some = found(0, [50], [0.9])
        some.keypoints[0, right:] = 1e6
        assert_equals_pycocotools(scene(one), [some], COCO.sigmas)
        matched = evaluate_coco(scene(one), [some], COCO.sigmas).records.matched[0]
        assert matched.tolist() == [level <= right / 10 for level in OKS_THRESHOLDS]


def test_of_two_equal_persons_the_later_is_matched() -> None:
    """The first detection lies halfway; what it leaves decides whether the second one finds anybody."""
    persons = [person(1, 0, 40), person(2, 0, 60)]
    some = [found(0, [50, 65], [0.9, 0.8])]
    level = 2  # reached 5 and 10 pixels away (0.87, 0.65), not 25 (0.22)
    for order, right in ((persons, 1), (persons[::-1], 2)):
        assert_equals_pycocotools(scene(*order), some, COCO.sigmas)
        assert evaluate_coco(scene(*order), some, COCO.sigmas).records.matched[:, level].sum() == right


def test_a_size_range_holds_both_of_its_ends() -> None:
    areas = np.array([32.0**2 - 1, 32.0**2, 96.0**2, 96.0**2 + 1])
    beyond = dict(zip(PERSON_SIZES, outside(areas).T.tolist(), strict=True))
    assert beyond == {
        "all": [False, False, False, False],
        "medium": [True, False, False, True],
        "large": [True, True, False, False],
    }
