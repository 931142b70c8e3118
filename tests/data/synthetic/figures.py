"""Figures whose pose and place a test knows, and equality of samples."""

from __future__ import annotations

import numpy as np

from workbench.core.skeletons import COCO
from workbench.data.synthetic.body import ANGLES, project
from workbench.data.synthetic.paint import NOBODY, Canvas, Drawing, drawing, easy_look, paint_person
from workbench.data.synthetic.scene import visibility
from workbench.tensors import Sample

SIZE = 200


def same(a: Sample, b: Sample) -> bool:
    persons = b.persons.arrays()
    pairs = [(a.image, b.image), *((array, persons[name]) for name, array in a.persons.arrays().items())]
    equal = all(x.dtype == y.dtype and np.array_equal(x, y) for x, y in pairs)
    return equal and (a.image_id, a.crowd_index, a.skeleton) == (b.image_id, b.crowd_index, b.skeleton)


def standing(yaws: list[float], at: list[tuple[float, float]]) -> Drawing:
    """People who stand with their hands behind them, 150 pixels high, their pelvis at given pixels."""
    people = len(yaws)
    angles = np.zeros((people, len(ANGLES)))
    angles[:, [ANGLES.index("left_raise"), ANGLES.index("right_raise")]] = -30.0  # hands clear of the hips
    angles[:, [ANGLES.index("left_spread"), ANGLES.index("right_spread")]] = 12.0
    bodies = project(
        angles, np.array(yaws, float), pitch=0.0, roll=np.zeros(people),
        proportions=np.ones((people, 4)), perspective=0.0,
    )  # fmt: skip
    return drawing(bodies, np.full(people, 150.0), np.array(at, float), np.ones(people), np.ones(people))


def painted(plan: Drawing, order: list[int] | None = None) -> Canvas:
    canvas = Canvas(np.zeros((SIZE, SIZE, 3), np.uint8), np.full((SIZE, SIZE), NOBODY, np.uint8))
    for p in order or range(len(plan.scale)):
        paint_person(canvas, plan, p, easy_look(np.random.default_rng(0)))
    return canvas


def states(canvas: Canvas, plan: Drawing, person: int = 0) -> dict[str, float]:
    return dict(zip(COCO.keypoints, visibility(canvas.owner, plan)[1][person], strict=True))
