"""Drawings on pictures of any size: what is changed, where, and in which colours."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from workbench.core.skeletons import COCO
from workbench.data.draw import side_colour
from workbench.data.overlay import draw_found
from workbench.tensors import Detections

NAMES = COCO.keypoints
Pixels = NDArray[np.uint8]


def grey(high: int, wide: int) -> Pixels:
    return np.full((high, wide, 3), 128, np.uint8)


def upright(high: int, wide: int, score: float = 0.9, **changes: Any) -> Detections:
    """One person in the middle: its left on the right of the picture."""
    points = np.zeros((1, 17, 2), np.float32)
    for k, name in enumerate(NAMES):
        x = 0.5 + 0.1 * name.startswith("left") - 0.1 * name.startswith("right")
        points[0, k] = x * wide, (0.2 + 0.6 * k / 16) * high
    fields: dict[str, Any] = {
        "boxes": np.array([[0.3 * wide, 0.1 * high, 0.7 * wide, 0.9 * high]], np.float32),
        "scores": np.array([score], np.float32),
        "labels": np.zeros(1, np.int64),
        "keypoints": points,
        "keypoint_scores": np.ones((1, 17), np.float32),
    }
    return Detections(**(fields | changes))


def width_of_a_limb(high: int, wide: int) -> int:
    """Pixels of the drawing, across the limb from the left hip to the left knee."""
    drawn = draw_found(grey(high, wide), upright(high, wide), COCO)
    factor = drawn.shape[0] // high
    found = upright(high, wide).keypoints[0]
    y = round(float(found[[NAMES.index("left_hip"), NAMES.index("left_knee")], 1].mean()) * factor)
    x = round(float(found[NAMES.index("left_hip"), 0]) * factor)
    row = (abs(drawn[y, x - 30 * factor : x + 30 * factor].astype(int) - 128) > 60).any(1)
    return int(row.sum())


def test_lines_grow_with_the_picture() -> None:
    widths = [width_of_a_limb(int(0.75 * wide), wide) for wide in (640, 1280, 2560)]
    for wide, found in zip((1, 2, 4), widths, strict=True):
        assert found == pytest.approx(1.4 + 3.6 * wide, abs=1.5)


def test_lines_on_small_persons_are_thin() -> None:
    found = upright(960, 1280)
    small = upright(960, 1280, boxes=found.boxes * 0.05, keypoints=found.keypoints * 0.05)
    changed = [(draw_found(grey(960, 1280), one, COCO) != 128).any(2).sum() for one in (found, small)]
    assert changed[1] < 0.1 * changed[0]


def test_small_pictures_are_enlarged_and_others_keep_their_size() -> None:
    assert draw_found(grey(60, 100), upright(60, 100), COCO).shape == (300, 500, 3)
    assert draw_found(grey(480, 640), upright(480, 640), COCO).shape == (480, 640, 3)
    nobody = upright(480, 640, score=0.1)
    assert (draw_found(grey(480, 640), nobody, COCO) == 128).all()


def test_left_and_right_have_colours_of_their_own() -> None:
    drawn = draw_found(grey(480, 640), upright(480, 640), COCO)
    for name in ("left_knee", "right_knee", "nose"):
        k = NAMES.index(name)
        x, y = upright(480, 640).keypoints[0, k].round().astype(int)
        assert tuple(drawn[y, x].tolist()) == side_colour(COCO, k)
    assert side_colour(COCO, NAMES.index("left_knee")) != side_colour(COCO, NAMES.index("right_knee"))


def test_what_is_not_sure_is_left_out() -> None:
    hidden = np.ones((1, 17), np.float32)
    hidden[0, NAMES.index("left_knee")] = 0.2
    plain, other = (
        draw_found(grey(480, 640), upright(480, 640, keypoint_scores=scores), COCO)
        for scores in (np.ones((1, 17), np.float32), hidden)
    )
    x, y = upright(480, 640).keypoints[0, NAMES.index("left_knee")].round().astype(int)
    assert (plain[y, x] != 128).any() and (other[y, x] == 128).all()
    low = draw_found(grey(480, 640), upright(480, 640, keypoint_scores=hidden), COCO, threshold=0.1)
    assert np.array_equal(low, plain)


def test_the_score_stands_on_a_plate_that_is_inside() -> None:
    for corner in (0.0, 0.55):
        box = np.array([[corner * 640, corner * 480, 639, 479]], np.float32)
        drawn = draw_found(grey(480, 640), upright(480, 640, boxes=box), COCO)
        plate = (drawn == np.array((60, 220, 250))).all(2)
        rows, columns = np.nonzero(plate)
        assert plate.sum() > 200 and rows.max() < 480 and columns.max() < 640
        dark = (drawn[rows.min() : rows.min() + 16, columns.min() : columns.min() + 40] < 60).all(2)
        assert dark.sum() > 20, "the number is legible on it"


@pytest.mark.filterwarnings("error")
def test_numbers_that_are_none_are_not_drawn() -> None:
    bad = upright(480, 640, boxes=np.full((1, 4), np.nan, np.float32))
    assert (draw_found(grey(480, 640), bad, COCO) == 128).all()
    points = upright(480, 640).keypoints.copy()
    points[0, 0], points[0, 1] = np.nan, 1e9
    draw_found(grey(480, 640), upright(480, 640, keypoints=points), COCO)
