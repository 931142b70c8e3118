"""Scenes: labels against the pixels that a person owns."""

from __future__ import annotations

import numpy as np
import pytest

from tests.data.synthetic.figures import painted, standing, states
from workbench.core.skeletons import COCO
from workbench.data.synthetic.dataset import SyntheticScenes
from workbench.data.synthetic.paint import BODY_PARTS, NOBODY, OBJECT, fill
from workbench.data.synthetic.scene import label, visibility
from workbench.tensors import Sample


@pytest.mark.parametrize("level", ["easy", "hard"])
def test_labels_agree_with_each_other(level: str) -> None:
    people = 0
    for sample in SyntheticScenes(level, 96, 1, 40):
        assert sample.image.shape == (96, 96, 3) and sample.image.dtype == np.uint8
        people += len(sample)
        x, y = sample.persons.keypoints[..., 0], sample.persons.keypoints[..., 1]
        shown = sample.persons.visible > 0
        assert ((sample.persons.keypoints >= 0) & (sample.persons.keypoints <= 95)).all()
        assert (sample.persons.keypoints[~shown] == 0).all()
        left, top, right, bottom = (sample.persons.boxes[:, i, None] for i in range(4))
        assert ((x >= left) & (x <= right) & (y >= top) & (y <= bottom))[shown].all()
        assert (sample.persons.boxes >= 0).all() and (sample.persons.boxes <= 96).all()
        sides = sample.persons.boxes[:, 2:] - sample.persons.boxes[:, :2]
        assert (sample.persons.areas >= 1).all() and (sample.persons.areas <= sides.prod(1) + 1e-3).all()
        assert 0 <= sample.crowd_index <= 1
    assert people > 20


def test_hard_scenes_have_every_state_and_every_count(hard: list[Sample]) -> None:
    found = np.concatenate([s.persons.visible.ravel() for s in hard])
    assert set(np.unique(found)) == {0.0, 1.0, 2.0}
    assert min((found == state).mean() for state in (0, 1, 2)) > 0.03
    counts = {len(s) for s in hard}
    assert 0 in counts and max(counts) >= 6
    assert max(s.crowd_index for s in hard) > 0.3


def test_easy_scenes_hold_one_to_three_people() -> None:
    counts = [len(s) for s in SyntheticScenes("easy", 64, 0, 60)]
    assert max(counts) == 3 and sum(c == 0 for c in counts) <= 3


def test_front_shows_the_face_and_back_hides_it() -> None:
    front, back = (standing([yaw], [(100, 100)]) for yaw in (0.0, 180.0))
    face = ("nose", "left_eye", "right_eye")
    seen = states(painted(front), front)
    assert set(seen.values()) == {2.0}
    turned = states(painted(back), back)
    assert all(turned[name] == 1 for name in face)
    assert all(turned[name] == 2 for name in COCO.keypoints if name not in face)


def test_profile_hides_the_far_side() -> None:
    plan = standing([90.0], [(100, 100)])  # faces the right edge: the right side is near
    nose, hip = (plan.points[0, COCO.keypoints.index(name), 0] for name in ("nose", "left_hip"))
    assert nose > hip
    seen = states(painted(plan), plan)
    for name in ("ear", "shoulder", "elbow", "hip", "knee"):
        assert (seen[f"right_{name}"], seen[f"left_{name}"]) == (2, 1), name


def test_object_hides_what_lies_below_it() -> None:
    plan = standing([0.0], [(100, 100)])
    canvas = painted(plan)
    before = int((canvas.owner // BODY_PARTS == 0).sum())
    block = np.array([(0, 120), (199, 120), (199, 199), (0, 199)]) * 16
    fill(canvas, block.astype(np.int32), (9, 9, 9), OBJECT)
    seen = states(canvas, plan)
    for side in ("left", "right"):
        assert seen[f"{side}_knee"] == seen[f"{side}_ankle"] == 1
        assert seen[f"{side}_hip"] == seen[f"{side}_shoulder"] == 2
    found = label(canvas.owner, plan, np.array([before]))
    mask = canvas.owner // BODY_PARTS == 0
    assert found.areas[0] == mask.sum() < before
    assert found.boxes[0, 3] == pytest.approx(plan.points[0, COCO.keypoints.index("left_ankle"), 1], abs=1e-3)


def test_nearer_person_hides_the_farther_one() -> None:
    plan = standing([0.0, 0.0], [(100, 100), (100, 100)])
    canvas = painted(plan, [0, 1])
    assert set(states(canvas, plan, 0).values()) == {1.0}
    assert set(states(canvas, plan, 1).values()) == {2.0}
    assert len(label(canvas.owner, plan, np.array([5000, 5000]))) == 1  # the hidden one has no label


def test_points_outside_the_image_are_not_labelled() -> None:
    plan = standing([0.0], [(100, 185)])  # the legs leave at the bottom
    seen = states(painted(plan), plan)
    keypoints, _ = visibility(painted(plan).owner, plan)
    for side in ("left", "right"):
        knee = COCO.keypoints.index(f"{side}_knee")
        assert seen[f"{side}_knee"] == 0 and (keypoints[0, knee] == 0).all()
        assert seen[f"{side}_shoulder"] == 2


def test_box_is_tight_around_a_free_person() -> None:
    plan = standing([30.0], [(100, 100)])
    canvas = painted(plan)
    rows, columns = np.nonzero(canvas.owner != NOBODY)
    found = label(canvas.owner, plan, np.array([len(rows)]))
    expected = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
    assert found.boxes[0].tolist() == expected
    assert found.areas[0] == len(rows)
