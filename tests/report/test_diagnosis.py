"""Kinds of error, on persons that are made for them."""

from pathlib import Path

import numpy as np
import pytest

from tests.report.made_up import TINY, TWO
from workbench.core.skeletons import COCO
from workbench.experiments.plan import StudyRun
from workbench.report.diagnosis import ERROR_KINDS, ImagePersons, kinds_of, matches, points_frame
from workbench.report.record import results_of
from workbench.tensors import Detections

LEFT, RIGHT = COCO.keypoints.index("left_wrist"), COCO.keypoints.index("right_wrist")
NOSE, KNEE = COCO.keypoints.index("nose"), COCO.keypoints.index("left_knee")


@pytest.fixture
def two() -> ImagePersons:
    """Two persons of 100 x 100 px side by side, all key points labelled, 20 px apart and more."""
    points = np.array([[20.0 * k, 50.0 * (k % 2)] for k in range(len(COCO))])
    return ImagePersons(np.stack([points, points + 1000]), np.ones((2, len(COCO)), bool), np.array([1e4, 1e4]))


def kind(persons: ImagePersons, point: int, place: np.ndarray) -> str:
    predicted = persons.keypoints[0].copy()
    predicted[point] = place
    found = kinds_of(predicted, persons, 0, COCO)
    assert all(ERROR_KINDS[k] == "good" for i, k in enumerate(found) if i != point)
    return ERROR_KINDS[found[point]]


def test_each_kind_is_told(two: ImagePersons) -> None:
    mine, other = two.keypoints
    # similarity exp(-d² / (2 area (2 sigma)²)): 0.85 at d = 7.1 px, 0.5 at 14.6 px for a wrist of 0.062
    assert kind(two, LEFT, mine[LEFT] + [5.0, 0.0]) == "good"
    assert kind(two, LEFT, mine[LEFT] - [0.0, 10.0]) == "jitter"
    assert kind(two, LEFT, mine[RIGHT] + [1.0, 0.0]) == "inversion"
    assert kind(two, LEFT, other[LEFT]) == "swap" and kind(two, LEFT, other[RIGHT]) == "swap"
    assert kind(two, LEFT, mine[LEFT] + [0.0, 300.0]) == "miss"
    assert kind(two, LEFT, mine[KNEE]) == "miss", "another part of the same person is no mirror image"


def test_unlabelled_places_can_not_be_met(two: ImagePersons) -> None:
    two.labelled[0, RIGHT] = two.labelled[1] = False
    assert kind_at(two, two.keypoints[0, RIGHT]) == kind_at(two, two.keypoints[1, LEFT]) == "miss"


def kind_at(persons: ImagePersons, place: np.ndarray) -> str:
    predicted = persons.keypoints[0].copy()
    predicted[LEFT] = place
    return ERROR_KINDS[kinds_of(predicted, persons, 0, COCO)[LEFT]]


def test_the_best_scored_detection_takes_a_person_first(two: ImagePersons) -> None:
    near = two.keypoints[0] + 2
    found = Detections(
        boxes=np.zeros((3, 4), np.float32),
        scores=np.array([0.5, 0.9, 0.8], np.float32),
        labels=np.zeros(3, np.int64),
        keypoints=np.stack([two.keypoints[0], near, two.keypoints[0] - 5000]).astype(np.float32),
        keypoint_scores=np.ones((3, len(COCO)), np.float32),
    )
    ((person, predicted),) = matches(found, two, np.array(COCO.sigmas))
    assert person == 0 and np.allclose(predicted, near), "neither the second of a person nor one of nobody counts"


@pytest.mark.slow
def test_every_row_and_key_point_has_a_line(trained: Path) -> None:
    frame = points_frame(results_of(StudyRun(TWO, TINY, trained)), trained)
    assert frame.groupby("row")["keypoint"].nunique().to_dict() == dict.fromkeys(["bins", "regression"], len(COCO))
    assert frame[list(ERROR_KINDS)].sum(axis="columns").tolist() == frame["points"].tolist()
    assert sum(frame["points"].tolist()) > 0
    assert min(frame.loc[frame["points"] > 0, "error"].tolist()) > 0 and set(frame["seed"]) == {0}
