"""Key-point sets by name: key points, OKS constants, mirror pairs and limbs. A new one is an entry of `SKELETONS`.

Sources: COCO key-point task (constants as in the COCO evaluation), CrowdPose (constants of its evaluation).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from workbench.core.errors import Refused


@dataclass(frozen=True)
class Skeleton:
    """`sigmas` are the per-key-point constants of OKS: exp(-d^2 / (2 area (2 sigma)^2))."""

    name: str
    keypoints: tuple[str, ...]
    sigmas: tuple[float, ...]
    flip: tuple[int, ...]  # index of the mirrored key point
    limbs: tuple[tuple[int, int], ...]

    def __len__(self) -> int:
        return len(self.keypoints)


def _flip(names: tuple[str, ...]) -> tuple[int, ...]:
    other = {"left": "right", "right": "left"}
    swapped = ["_".join(other.get(word, word) for word in name.split("_")) for name in names]
    return tuple(names.index(name) for name in swapped)


_COCO = (
    "nose", "left_eye", "right_eye", "left_ear", "right_ear", "left_shoulder", "right_shoulder", "left_elbow",
    "right_elbow", "left_wrist", "right_wrist", "left_hip", "right_hip", "left_knee", "right_knee", "left_ankle",
    "right_ankle",
)  # fmt: skip
_CROWDPOSE = (
    "left_shoulder", "right_shoulder", "left_elbow", "right_elbow", "left_wrist", "right_wrist", "left_hip",
    "right_hip", "left_knee", "right_knee", "left_ankle", "right_ankle", "top_head", "neck",
)  # fmt: skip

COCO = Skeleton(
    "coco",
    _COCO,
    (.026, .025, .025, .035, .035, .079, .079, .072, .072, .062, .062, .107, .107, .087, .087, .089, .089),
    _flip(_COCO),
    (
        (15, 13), (13, 11), (16, 14), (14, 12), (11, 12), (5, 11), (6, 12), (5, 6), (5, 7), (6, 8), (7, 9), (8, 10),
        (1, 2), (0, 1), (0, 2), (1, 3), (2, 4), (3, 5), (4, 6),
    ),
)  # fmt: skip
CROWDPOSE = Skeleton(
    "crowdpose",
    _CROWDPOSE,
    (.079, .079, .072, .072, .062, .062, .107, .107, .087, .087, .089, .089, .079, .079),
    _flip(_CROWDPOSE),
    (
        (10, 8), (8, 6), (11, 9), (9, 7), (6, 7), (0, 6), (1, 7), (0, 1), (0, 2), (1, 3), (2, 4), (3, 5), (12, 13),
        (1, 13), (0, 13),
    ),
)  # fmt: skip

SKELETONS: Mapping[str, Skeleton] = {one.name: one for one in (COCO, CROWDPOSE)}
RELEASED_SKELETONS: Mapping[int, Skeleton] = {
    17: COCO,
    14: CROWDPOSE,
}  # by the number of key points of a released model


def skeleton_named(name: str) -> Skeleton:
    """The key-point set of that name.

    Raises:
        Refused: there is none.
    """
    if name not in SKELETONS:
        raise Refused(f"no key-point set {name!r}; there are {', '.join(SKELETONS)}")
    return SKELETONS[name]


def released_skeleton(keypoints: int) -> Skeleton:
    """The key-point set of the released models with that many key points.

    Raises:
        Refused: no released model has that many.
    """
    if keypoints not in RELEASED_SKELETONS:
        known = ", ".join(f"{count} ({one.name})" for count, one in RELEASED_SKELETONS.items())
        raise Refused(f"{keypoints} key points: no known skeleton of a released model has as many; there are {known}")
    return RELEASED_SKELETONS[keypoints]
