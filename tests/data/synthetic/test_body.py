"""The body: mirrored poses, bones of a fixed length, which side is left."""

from __future__ import annotations

import numpy as np
import pytest

from tests.data.synthetic.figures import standing
from workbench.core.skeletons import COCO
from workbench.data.synthetic.body import FAMILIES, NAMES, Bodies, mirrored_angles, project, sample_angles


def test_left_is_on_the_right_of_a_person_who_faces_the_viewer() -> None:
    for yaw, sign in ((0.0, 1), (180.0, -1)):
        points = standing([yaw], [(100, 100)]).points[0]
        for name in ("shoulder", "hip", "wrist", "ankle", "ear"):
            left, right = (points[COCO.keypoints.index(f"{side}_{name}"), 0] for side in ("left", "right"))
            assert sign * (left - right) > 0


@pytest.mark.parametrize("family", FAMILIES)
def test_mirrored_pose_swaps_the_sides(family: str) -> None:
    rng = np.random.default_rng(7)
    angles, yaw, roll = sample_angles(family, rng)[None], rng.uniform(-180, 180, 1), rng.uniform(-15, 15, 1)

    def seen(a: np.ndarray, y: np.ndarray, r: np.ndarray) -> Bodies:
        return project(a, y, pitch=20.0, roll=r, proportions=np.full((1, 4), 1.05), perspective=0.2)

    one, other = seen(angles, yaw, roll), seen(mirrored_angles(angles), -yaw, -roll)
    k = len(COCO)
    flipped = one.points[:, list(COCO.flip)] * (-1.0, 1.0, 1.0)
    np.testing.assert_allclose(other.points[:, :k], flipped, atol=1e-9)
    np.testing.assert_allclose(other.head, one.head * (-1.0, 1.0, 1.0), atol=1e-9)


def test_bones_keep_their_length() -> None:
    rng = np.random.default_rng(1)
    angles = np.stack([sample_angles(name, rng) for name in FAMILIES])
    count = len(angles)
    bodies = project(
        angles, rng.uniform(-180, 180, count), pitch=15.0, roll=np.zeros(count), proportions=np.ones((count, 4)),
        perspective=0.0,
    )  # fmt: skip
    for a, b, length in (("left_hip", "left_knee", 0.245), ("right_elbow", "right_wrist", 0.145)):
        bone = bodies.points[:, NAMES.index(a)] - bodies.points[:, NAMES.index(b)]
        np.testing.assert_allclose(np.linalg.norm(bone, axis=1), length, atol=1e-9)
