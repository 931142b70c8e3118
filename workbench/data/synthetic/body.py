"""An articulated 3-D body: families of poses, forward kinematics, a camera. Numbers only, nothing is drawn here.

The body frame is x to the person's left, y up, z forward; a standing adult is about 1 high. The camera frame is x to
the right of the image, y up, z towards the viewer, so a person with yaw 0 faces the viewer and has the left hand on
the right of the image. Angles are degrees. All functions work on P bodies at once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from workbench.tensors import Floats

# ---------------------------------------------------------------------------------------------- angles of a pose
_ARM = ("raise", "spread", "twist", "elbow")
_LEG = ("hip", "straddle", "turnout", "knee")
ANGLES: Final = (
    "pitch", "roll", "bend", "lean", "turn", "nod", "look", "tilt",
    *(f"left_{n}" for n in _ARM), *(f"right_{n}" for n in _ARM),
    *(f"left_{n}" for n in _LEG), *(f"right_{n}" for n in _LEG),
)  # fmt: skip
_SIDELESS_MIRRORED = ("roll", "lean", "turn", "look", "tilt")  # change sign in a mirror; side angles swap sides
_Range = tuple[float, float]


def _family(**ranges: _Range) -> Floats:
    """(2, A) lowest and highest angles. `elbow` means both elbows, `left_elbow` one; the rest is a relaxed stand."""
    relaxed: dict[str, _Range] = {
        "bend": (-4, 8), "lean": (-5, 5), "turn": (-12, 12), "nod": (-12, 18), "look": (-35, 35), "tilt": (-8, 8),
        "raise": (-15, 20), "spread": (4, 22), "twist": (-30, 10), "elbow": (4, 35),
        "hip": (-5, 8), "straddle": (1, 9), "turnout": (-5, 25), "knee": (0, 10),
    }  # fmt: skip
    merged = relaxed | ranges
    nothing: _Range = (0.0, 0.0)

    def pick(name: str) -> _Range:
        return ranges.get(name) or merged.get(name.removeprefix("left_").removeprefix("right_"), nothing)

    return np.array([pick(name) for name in ANGLES], float).T


FAMILIES: Final[dict[str, Floats]] = {
    "standing": _family(),
    "walking": _family(
        left_hip=(12, 35), right_hip=(-28, -5), left_knee=(0, 20), right_knee=(8, 40), left_raise=(-35, -5),
        right_raise=(5, 40), elbow=(10, 50), bend=(0, 12),
    ),
    "running": _family(
        left_hip=(40, 85), right_hip=(-40, -10), left_knee=(40, 110), right_knee=(20, 90), left_raise=(-65, -25),
        right_raise=(20, 65), elbow=(60, 115), bend=(8, 28), spread=(5, 20),
    ),
    "sitting": _family(
        hip=(70, 98), knee=(65, 110), straddle=(3, 22), left_raise=(5, 50), right_raise=(5, 50),
        elbow=(15, 85), bend=(-12, 22),
    ),
    "arms up": _family(spread=(115, 172), twist=(0, 80), elbow=(0, 70), left_raise=(-12, 12), right_raise=(-12, 12)),
    "arms wide": _family(spread=(60, 105), twist=(-20, 90), elbow=(0, 95), straddle=(4, 26)),
    "waving": _family(left_spread=(85, 165), left_twist=(40, 100), left_elbow=(15, 105)),
    "hands on hips": _family(spread=(36, 52), twist=(-85, -60), elbow=(75, 110), straddle=(4, 16)),
    "reaching": _family(left_raise=(55, 125), right_raise=(20, 120), elbow=(0, 60), bend=(0, 25)),
    "bending": _family(
        bend=(45, 95), left_raise=(40, 110), right_raise=(40, 110), hip=(-5, 22), knee=(0, 45), nod=(-40, 5),
    ),
    "crouching": _family(
        hip=(75, 125), knee=(90, 140), straddle=(5, 30), bend=(5, 45), left_raise=(15, 75), right_raise=(15, 75),
        elbow=(10, 95), nod=(-30, 5),
    ),
    "kicking": _family(left_hip=(45, 100), left_knee=(0, 50), right_knee=(0, 22), spread=(20, 75), bend=(-18, 6)),
    "lying on the back": _family(pitch=(-92, -82), straddle=(2, 18), spread=(5, 70), knee=(0, 60), hip=(0, 35)),
    "lying on the belly": _family(pitch=(82, 92), straddle=(2, 18), spread=(10, 80), elbow=(5, 90), knee=(0, 30)),
    "lying on the side": _family(roll=(82, 96), hip=(0, 60), knee=(0, 90), elbow=(10, 90), left_raise=(0, 80)),
}  # fmt: skip


def mirrored_angles(angles: Floats) -> Floats:
    """The pose (..., A) as a mirror shows it: sides swapped, sideless turns reversed."""
    other = [
        n.replace("left_", "right_") if n.startswith("left_") else n.replace("right_", "left_") for n in ANGLES
    ]  # fmt: skip
    sign = np.array([-1.0 if n in _SIDELESS_MIRRORED else 1.0 for n in ANGLES])
    return angles[..., [ANGLES.index(n) for n in other]] * sign


def sample_angles(family: str, rng: np.random.Generator) -> Floats:
    """One pose (A,) of a family, mirrored in half of the cases."""
    low, high = FAMILIES[family]
    angles = rng.uniform(low, high)
    return mirrored_angles(angles) if rng.random() < 0.5 else angles


# ------------------------------------------------------------------------------------------------- the skeleton
_NODES: Final = (
    "root", "chest", "head", "left_arm", "right_arm", "left_fore", "right_fore", "left_leg", "right_leg",
    "left_shin", "right_shin", "left_foot", "right_foot",
)  # fmt: skip
# Nodes of one generation are turned together: (parents, children).
_GENERATIONS: Final = (
    ([0, 0, 0], [1, 7, 8]),
    ([1, 1, 1], [2, 3, 4]),
    ([3, 4, 7, 8], [5, 6, 9, 10]),
    ([9, 10], [11, 12]),
)
_TORSO, _HEAD, _ARMS, _LEGS = range(4)  # what the proportions scale
_OFFSETS: Final = np.array(
    [
        (0, 0, 0), (0, 0.06, 0), (0, 0.26, 0), (0.105, 0.228, 0), (-0.105, 0.228, 0), (0, -0.165, 0), (0, -0.165, 0),
        (0.056, 0, 0), (-0.056, 0, 0), (0, -0.245, 0), (0, -0.245, 0), (0, -0.24, 0), (0, -0.24, 0),
    ]
)  # fmt: skip
_OFFSET_GROUP: Final = np.array(
    [_TORSO, _TORSO, _TORSO, _TORSO, _TORSO, _ARMS, _ARMS, _TORSO, _TORSO, _LEGS, _LEGS, _LEGS, _LEGS]
)


def _ring(y: float, width: float, depth: float) -> list[tuple[float, float, float]]:
    sides = ((1, 0), (0.55, 1), (-0.55, 1), (-1, 0), (-0.55, -1), (0.55, -1))
    return [(a * width, y, b * depth) for a, b in sides]


def _both(name: str, node: str, x: float, y: float, z: float) -> list[tuple[str, str, tuple[float, float, float]]]:
    return [(f"left_{name}", f"left_{node}", (x, y, z)), (f"right_{name}", f"right_{node}", (-x, y, z))]


def _side(name: str, node: str, x: float, y: float, z: float) -> list[tuple[str, str, tuple[float, float, float]]]:
    return [(f"left_{name}", node, (x, y, z)), (f"right_{name}", node, (-x, y, z))]


# Named points fixed to a node; the first 17 are the COCO key points in their order.
_POINTS: Final = [
    ("nose", "head", (0.0, 0.098, 0.09)),
    *_side("eye", "head", 0.033, 0.122, 0.068), *_side("ear", "head", 0.078, 0.112, -0.008),
    *_both("shoulder", "arm", 0, 0, 0), *_both("elbow", "fore", 0, 0, 0), *_both("wrist", "fore", 0, -0.145, 0),
    *_both("hip", "leg", 0, 0, 0), *_both("knee", "shin", 0, 0, 0), *_both("ankle", "foot", 0, 0, 0),
    *_both("fingers", "fore", 0, -0.2, 0.012), *_both("heel", "foot", 0, -0.028, -0.02),
    *_both("toe", "foot", 0, -0.032, 0.1),
    ("neck", "chest", (0, 0.235, 0)), ("chin", "head", (0, 0.028, 0.0)),
    ("skull", "head", (0, 0.112, 0)), ("face", "head", (0, 0.1, 0.02)), ("hair", "head", (0, 0.126, -0.02)),
    *((f"chest{i}", "chest", p) for i, p in enumerate(
        _ring(-0.012, 0.08, 0.05) + _ring(0.16, 0.105, 0.058) + _ring(0.238, 0.118, 0.036)
        + [(0.05, 0.262, 0), (-0.05, 0.262, 0)])),
    *((f"pelvis{i}", "root", p) for i, p in enumerate(_ring(0.068, 0.08, 0.05) + _ring(-0.028, 0.094, 0.056))),
    *((f"front{i}", "chest", p) for i, p in enumerate(
        [(-0.055, 0.243, 0.04), (0.055, 0.243, 0.04), (0.03, 0.1, 0.056), (0.0, 0.04, 0.054), (-0.03, 0.1, 0.056)])),
    *((f"badge{i}", "chest", p) for i, p in enumerate(
        [(0.088, 0.18, 0.05), (0.088, 0.12, 0.05), (0.048, 0.12, 0.057), (0.048, 0.18, 0.057)])),
    *((f"back{i}", "chest", p) for i, p in enumerate(
        [(0.065, 0.22, -0.045), (-0.065, 0.22, -0.045), (-0.06, 0.03, -0.055), (0.06, 0.03, -0.055)])),
]  # fmt: skip
NAMES: Final = tuple(name for name, _, _ in _POINTS)
_POINT_NODE: Final = np.array([_NODES.index(node) for _, node, _ in _POINTS])
_POINT_OFFSET: Final = np.array([offset for _, _, offset in _POINTS])
_GROUP_OF_NODE: Final = np.array(
    [_TORSO, _TORSO, _HEAD, _ARMS, _ARMS, _ARMS, _ARMS, _LEGS, _LEGS, _LEGS, _LEGS, _LEGS, _LEGS]
)
_POINT_GROUP: Final = _GROUP_OF_NODE[_POINT_NODE]


def points_named(prefix: str) -> list[int]:
    """Indices of the points `prefix0`, `prefix1`, ... in their order."""
    return [i for i, n in enumerate(NAMES) if n.startswith(prefix) and n[len(prefix) :].isdigit()]


# ------------------------------------------------------------------------------------------- kinematics, camera
@dataclass(frozen=True, kw_only=True)
class Bodies:
    """P posed bodies as the camera sees them, in body units around each pelvis."""

    points: Floats  # (P, M, 3): x to the right, y DOWN as in images, z towards the viewer; M as in NAMES
    head: Floats  # (P, 3): how far the head's left, up and forward axes point to the viewer, -1..1
    side: Floats  # (P, 2): the same for the left axis of chest and pelvis


def _turn(degrees: Floats) -> Floats:
    """Rotations (..., 3, 3) = Rx Rz Ry of angles (..., 3) about x, y, z."""
    c, s = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
    cx, cy, cz, sx, sy, sz = c[..., 0], c[..., 1], c[..., 2], s[..., 0], s[..., 1], s[..., 2]
    out = np.empty((*degrees.shape, 3))
    out[..., 0, 0], out[..., 0, 1], out[..., 0, 2] = cz * cy, -sz, cz * sy
    out[..., 1, 0], out[..., 1, 1], out[..., 1, 2] = cx * sz * cy + sx * sy, cx * cz, cx * sz * sy - sx * cy
    out[..., 2, 0], out[..., 2, 1], out[..., 2, 2] = sx * sz * cy - cx * sy, sx * cz, sx * sz * sy + cx * cy
    return out


_AT: Final = {name: i for i, name in enumerate(ANGLES)}


def _node_angles(a: Floats) -> Floats:
    """Pose angles (P, A) to the x, y, z turns (P, nodes, 3) of the nodes; limbs hang along -y at zero."""
    out = np.zeros((len(a), len(_NODES), 3))
    out[:, 0, 0], out[:, 0, 2] = a[:, _AT["pitch"]], a[:, _AT["roll"]]
    out[:, 1] = a[:, [_AT["bend"], _AT["turn"], _AT["lean"]]]
    out[:, 2] = a[:, [_AT["nod"], _AT["look"], _AT["tilt"]]]
    for i, (side, sign) in enumerate((("left", 1.0), ("right", -1.0))):
        arm, leg = (_AT[f"{side}_{first}"] for first in ("raise", "hip"))
        out[:, 3 + i] = a[:, [arm, arm + 2, arm + 1]] * (-1.0, sign, sign)
        out[:, 5 + i, 0] = -a[:, arm + 3]
        out[:, 7 + i] = a[:, [leg, leg + 2, leg + 1]] * (-1.0, sign, sign)
        out[:, 9 + i, 0] = a[:, leg + 3]
    return out


def project(
    angles: Floats, yaw: Floats, *, pitch: float, roll: Floats, proportions: Floats, perspective: float
) -> Bodies:
    """Pose P bodies and look at them.

    Args:
        angles: (P, A) degrees, A as in `ANGLES`.
        yaw: (P,) degrees; 0 faces the viewer, 90 faces the right edge of the image.
        pitch: degrees by which the camera looks down.
        roll: (P,) degrees by which a body tilts in the image plane.
        proportions: (P, 4) factors of torso, head, arms, legs.
        perspective: growth per unit of depth; 0 is an orthographic camera.
    """
    people = len(angles)
    local = _turn(_node_angles(angles))
    camera = np.zeros((2, people, 3))
    camera[0, :, 2] = roll
    camera[1, :, 0], camera[1, :, 1] = pitch, yaw
    views = _turn(camera)
    world = np.empty_like(local)
    place = np.zeros((people, len(_NODES), 3))
    world[:, 0] = views[0] @ views[1] @ local[:, 0]
    steps = (_OFFSETS * proportions[:, _OFFSET_GROUP, None])[..., None]
    for parents, children in _GENERATIONS:
        world[:, children] = world[:, parents] @ local[:, children]
        place[:, children] = place[:, parents] + (world[:, parents] @ steps[:, children])[..., 0]
    fixed = (_POINT_OFFSET * proportions[:, _POINT_GROUP, None])[..., None]
    points = place[:, _POINT_NODE] + (world[:, _POINT_NODE] @ fixed)[..., 0]
    points[..., :2] /= (1.0 - perspective * points[..., 2])[..., None]
    points[..., 1] *= -1.0
    return Bodies(points=points, head=world[:, 2, 2, :].copy(), side=world[:, [1, 0], 2, 0].copy())
