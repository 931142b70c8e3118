"""Key-point sets by name: key points, OKS constants, mirror pairs and limbs. A new one is an entry of `SKELETONS`.

Sources: mmpose (github.com/open-mmlab/mmpose, release 1.3.2), `configs/_base_/datasets/`, the file of each set:
`coco.py` (constants of pycocotools' evaluation), `crowdpose.py` (of CrowdPose's evaluation), `aic.py` (of AI
Challenger's evaluation), `mpii.py` (adapted from COCO's, the data set has none), `halpe26.py` (of Halpe-FullBody's
evaluation), `coco_wholebody.py` and `coco_wholebody_hand.py` (of COCO-WholeBody's evaluation), `ap10k.py` (adapted
from COCO's, the paper gives none). AP-10K's names are those of its annotation files, which spell out what mmpose
shortens; `ALIASES` has other spellings. The 68 points of a face mirror as in 300-W.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from workbench.core.errors import Refused
from workbench.core.keypoints import Skeleton, canonical, mirror_of

_COCO = (
    "nose", "left_eye", "right_eye", "left_ear", "right_ear", "left_shoulder", "right_shoulder", "left_elbow",
    "right_elbow", "left_wrist", "right_wrist", "left_hip", "right_hip", "left_knee", "right_knee", "left_ankle",
    "right_ankle",
)  # fmt: skip
_CROWDPOSE = (
    "left_shoulder", "right_shoulder", "left_elbow", "right_elbow", "left_wrist", "right_wrist", "left_hip",
    "right_hip", "left_knee", "right_knee", "left_ankle", "right_ankle", "top_head", "neck",
)  # fmt: skip

_AIC = (
    "right_shoulder", "right_elbow", "right_wrist", "left_shoulder", "left_elbow", "left_wrist", "right_hip",
    "right_knee", "right_ankle", "left_hip", "left_knee", "left_ankle", "head_top", "neck",
)  # fmt: skip
_MPII = (
    "right_ankle", "right_knee", "right_hip", "left_hip", "left_knee", "left_ankle", "pelvis", "thorax", "upper_neck",
    "head_top", "right_wrist", "right_elbow", "right_shoulder", "left_shoulder", "left_elbow", "left_wrist",
)  # fmt: skip
_HALPE26 = (
    *_COCO, "head", "neck", "hip", "left_big_toe", "right_big_toe", "left_small_toe", "right_small_toe", "left_heel",
    "right_heel",
)  # fmt: skip
_AP10K = (
    "left_eye", "right_eye", "nose", "neck", "root_of_tail", "left_shoulder", "left_elbow", "left_front_paw",
    "right_shoulder", "right_elbow", "right_front_paw", "left_hip", "left_knee", "left_back_paw", "right_hip",
    "right_knee", "right_back_paw",
)  # fmt: skip
_FINGERS = ("thumb", "forefinger", "middle_finger", "ring_finger", "pinky_finger")
_JOINTS = tuple(f"{finger}{joint}" for finger in _FINGERS for joint in (1, 2, 3, 4))
_FEET = tuple(f"{side}_{part}" for side in ("left", "right") for part in ("big_toe", "small_toe", "heel"))
_FACE = 23  # index of the first point of the face in a whole body; the hands begin at 91 and 112
_WHOLEBODY = (
    *_COCO,
    *_FEET,
    *(f"face-{point}" for point in range(68)),
    *(f"{side}_{part}" for side in ("left", "right") for part in ("hand_root", *_JOINTS)),
)
# Rows of points from one side to the other, whose ends mirror each other: jaw, brows, nostrils, eyes and lips.
_FACE_ROWS = (
    range(17), range(17, 27), range(31, 36), (36, 37, 38, 39, 42, 43, 44, 45), (41, 40, 47, 46), range(48, 55),
    range(55, 60), range(60, 65), range(65, 68),
)  # fmt: skip


def _face_mirrored(flip: tuple[int, ...]) -> tuple[int, ...]:
    mirrored = list(flip)
    for row in _FACE_ROWS:
        for point, other in zip(row, reversed(row), strict=True):
            mirrored[_FACE + point] = _FACE + other
    return tuple(mirrored)


def _hand_limbs(root: int) -> tuple[tuple[int, int], ...]:
    """From the root through the four joints of each finger."""
    starts = range(root + 1, root + 21, 4)
    return tuple(limb for at in starts for limb in ((root, at), (at, at + 1), (at + 1, at + 2), (at + 2, at + 3)))


_COCO_SIGMAS = (
    .026, .025, .025, .035, .035, .079, .079, .072, .072, .062, .062, .107, .107, .087, .087, .089, .089,
)  # fmt: skip
_COCO_LIMBS = (
    (15, 13), (13, 11), (16, 14), (14, 12), (11, 12), (5, 11), (6, 12), (5, 6), (5, 7), (6, 8), (7, 9), (8, 10),
    (1, 2), (0, 1), (0, 2), (1, 3), (2, 4), (3, 5), (4, 6),
)  # fmt: skip
_HAND_SIGMAS = (
    .029, .022, .035, .037, .047, .026, .025, .024, .035, .018, .024, .022, .026, .017, .021, .021, .032, .02, .019,
    .022, .031,
)  # fmt: skip
_FACE_SIGMAS = (
    .042, .043, .044, .043, .04, .035, .031, .025, .02, .023, .029, .032, .037, .038, .043, .041, .045, .013, .012,
    .011, .011, .012, .012, .011, .011, .013, .015, .009, .007, .007, .007, .012, .009, .008, .016, .01, .017, .011,
    .009, .011, .009, .007, .013, .008, .011, .012, .01, .034, .008, .008, .009, .008, .008, .007, .01, .008, .009,
    .009, .009, .007, .007, .008, .011, .008, .008, .008, .01, .008,
)  # fmt: skip

COCO = Skeleton(name="coco", keypoints=_COCO, sigmas=_COCO_SIGMAS, flip=mirror_of(_COCO), limbs=_COCO_LIMBS)
CROWDPOSE = Skeleton(
    name="crowdpose",
    keypoints=_CROWDPOSE,
    sigmas=(.079, .079, .072, .072, .062, .062, .107, .107, .087, .087, .089, .089, .079, .079),
    flip=mirror_of(_CROWDPOSE),
    limbs=(
        (10, 8), (8, 6), (11, 9), (9, 7), (6, 7), (0, 6), (1, 7), (0, 1), (0, 2), (1, 3), (2, 4), (3, 5), (12, 13),
        (1, 13), (0, 13),
    ),
)  # fmt: skip
AIC = Skeleton(
    name="aic",
    keypoints=_AIC,
    sigmas=(
        .01388152, .01515228, .01057665, .01417709, .01497891, .01402144, .03909642, .03686941, .01981803, .03843971,
        .03412318, .02415081, .01291456, .01236173,
    ),
    flip=mirror_of(_AIC),
    limbs=(
        (2, 1), (1, 0), (0, 13), (13, 3), (3, 4), (4, 5), (8, 7), (7, 6), (6, 9), (9, 10), (10, 11), (12, 13), (0, 6),
        (3, 9),
    ),
)  # fmt: skip
MPII = Skeleton(
    name="mpii",
    keypoints=_MPII,
    sigmas=(.089, .083, .107, .107, .083, .089, .026, .026, .026, .026, .062, .072, .179, .179, .072, .062),
    flip=mirror_of(_MPII),
    limbs=(
        (0, 1), (1, 2), (2, 6), (6, 3), (3, 4), (4, 5), (6, 7), (7, 8), (8, 9), (8, 12), (12, 11), (11, 10), (8, 13),
        (13, 14), (14, 15),
    ),
)  # fmt: skip
HALPE26 = Skeleton(
    name="halpe26",
    keypoints=_HALPE26,
    sigmas=(*_COCO_SIGMAS, .026, .026, .066, *[.079] * 6),
    flip=mirror_of(_HALPE26),
    limbs=(
        (15, 13), (13, 11), (11, 19), (16, 14), (14, 12), (12, 19), (17, 18), (18, 19), (18, 5), (5, 7), (7, 9),
        (18, 6), (6, 8), (8, 10), (1, 2), (0, 1), (0, 2), (1, 3), (2, 4), (3, 5), (4, 6), (15, 20), (15, 22), (15, 24),
        (16, 21), (16, 23), (16, 25),
    ),
)  # fmt: skip
COCO_WHOLEBODY = Skeleton(
    name="coco_wholebody",
    keypoints=_WHOLEBODY,
    sigmas=(*_COCO_SIGMAS, .068, .066, .066, .092, .094, .094, *_FACE_SIGMAS, *_HAND_SIGMAS, *_HAND_SIGMAS),
    flip=_face_mirrored(mirror_of(_WHOLEBODY)),
    limbs=(
        *_COCO_LIMBS, (15, 17), (15, 18), (15, 19), (16, 20), (16, 21), (16, 22), *_hand_limbs(91), *_hand_limbs(112),
    ),
)  # fmt: skip
AP10K = Skeleton(
    name="ap10k",
    keypoints=_AP10K,
    sigmas=(.025, .025, .026, .035, .035, .079, .072, .062, .079, .072, .062, .107, .087, .089, .107, .087, .089),
    flip=mirror_of(_AP10K),
    limbs=(
        (0, 1), (0, 2), (1, 2), (2, 3), (3, 4), (3, 5), (5, 6), (6, 7), (3, 8), (8, 9), (9, 10), (4, 11), (11, 12),
        (12, 13), (4, 14), (14, 15), (15, 16),
    ),
)  # fmt: skip
HAND21 = Skeleton(
    name="hand21",
    keypoints=("wrist", *_JOINTS),
    sigmas=_HAND_SIGMAS,
    flip=tuple(range(21)),  # a mirrored hand is the other hand, with the same points
    limbs=_hand_limbs(0),
)

SKELETONS: Mapping[str, Skeleton] = {
    one.name: one for one in (COCO, CROWDPOSE, AIC, MPII, HALPE26, COCO_WHOLEBODY, AP10K, HAND21)
}
RELEASED_SKELETONS: Mapping[int, Skeleton] = {
    17: COCO,
    14: CROWDPOSE,
}  # by the number of key points of a released model
ALIASES: Mapping[str, Mapping[str, str]] = {  # of a set: other spellings of its names, as `canonical` gives them
    "crowdpose": {"head": "top head"},  # CrowdPose's own annotation files
    "ap10k": {
        "left f paw": "left front paw",
        "right f paw": "right front paw",
        "left b paw": "left back paw",
        "right b paw": "right back paw",
    },
}


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


def skeleton_of(names: Sequence[str]) -> Skeleton | None:
    """The key-point set that has these names and no others, in any order and spelling; None where there is none."""
    return next((one for one in SKELETONS.values() if _columns(names, one) is not None), None)


def columns_of(names: Sequence[str], skeleton: Skeleton) -> tuple[int, ...]:
    """Where each key point of a set stands among `names`.

    Raises:
        Refused: they are other names; the message says which.
    """
    found = _columns(names, skeleton)
    if found is None:
        missing, more = (", ".join(words) for words in _unlike(names, skeleton))
        apart = [f"without {missing}"] * bool(missing) + [f"with {more}"] * bool(more)
        raise Refused(f"not the key points of {skeleton.name}: {' and '.join(apart) or 'names that mean the same'}")
    return found


def _columns(names: Sequence[str], skeleton: Skeleton) -> tuple[int, ...] | None:
    wanted, given = _spelt(skeleton.keypoints, skeleton), _spelt(names, skeleton)
    if len(set(given)) != len(names) or sorted(given) != sorted(wanted):
        return None
    return tuple(given.index(one) for one in wanted)


def _unlike(names: Sequence[str], skeleton: Skeleton) -> Iterator[list[str]]:
    """Names of the set that are not there, and names that are not of the set."""
    wanted, given = _spelt(skeleton.keypoints, skeleton), _spelt(names, skeleton)
    yield [name for name, one in zip(skeleton.keypoints, wanted, strict=True) if one not in given]
    yield [name for name, one in zip(names, given, strict=True) if one not in wanted]


def _spelt(names: Sequence[str], skeleton: Skeleton) -> list[str]:
    aliases = ALIASES.get(skeleton.name, {})
    return [aliases.get(one, one) for one in canonical(names)]
