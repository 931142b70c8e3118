"""Paint: warm and cold sides, and a colour for everything that is drawn."""

from __future__ import annotations

import numpy as np

from tests.data.synthetic.figures import SIZE, painted, standing
from workbench.core.skeletons import COCO
from workbench.data.synthetic.paint import BODY_PARTS, NOBODY, Canvas, easy_look, hard_look, paint_person


def test_sides_are_warm_and_cold_on_easy_scenes() -> None:
    for yaw in (0.0, 180.0):
        plan = standing([yaw], [(100, 100)])
        canvas = painted(plan)
        for joint in ("knee", "elbow", "ankle"):
            for side, warm in (("left", True), ("right", False)):
                x, y = np.rint(plan.points[0, COCO.keypoints.index(f"{side}_{joint}")]).astype(int)
                blue, _, red = canvas.image[y, x].astype(int)
                assert (red > blue) == warm


def test_looks_colour_everything_that_is_drawn() -> None:
    plan = standing([0.0, 180.0], [(60, 100), (140, 100)])
    for look in (easy_look, hard_look):
        canvas = Canvas(np.zeros((SIZE, SIZE, 3), np.uint8), np.full((SIZE, SIZE), NOBODY, np.uint8))
        for p in range(2):
            paint_person(canvas, plan, p, look(np.random.default_rng(p)))
        assert {0, 1} <= set(np.unique(canvas.owner // BODY_PARTS).tolist())
