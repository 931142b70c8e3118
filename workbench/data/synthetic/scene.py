"""One rendered multi-person scene and its labels, a pure function of (level, size, seed, index)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from workbench.core.errors import Refused
from workbench.core.skeletons import COCO
from workbench.data.crowding import crowd_index
from workbench.data.synthetic.body import ANGLES, FAMILIES, Bodies, project, sample_angles
from workbench.data.synthetic.paint import (
    BODY_PARTS,
    FACE_SHOWS,
    MOST_PEOPLE,
    NOBODY,
    NOSE_SHOWS,
    OBJECT,
    PART,
    Canvas,
    Drawing,
    Look,
    add_grain,
    calm_backdrop,
    drawing,
    easy_look,
    hard_look,
    hsv,
    paint_object,
    paint_person,
    wild_backdrop,
)
from workbench.tensors import Array, Floats, Persons, Sample

RENDERER_VERSION: Final = 1  # part of the cache's name: raise it whenever a pixel or a label changes
SMALLEST: Final = 32
SCENE_LEVELS: Final = ("easy", "hard")
_K: Final = len(COCO)


@dataclass(frozen=True, kw_only=True)
class _Level:
    """How hard scenes are. Ranges are (lowest, highest)."""

    people: tuple[int, ...]  # how many, equally likely
    height: tuple[float, float]  # of a standing person relative to the image, log-uniform
    families: dict[str, float]  # weight of each family of poses
    pitch: tuple[float, float]  # degrees the camera looks down
    roll: float  # largest tilt, degrees
    outside: float  # how much of a person's extent may leave the image
    crowding: float  # chance that a person stands next to an earlier one
    tries: int  # places tried, the one with the least overlap is taken
    decor: tuple[int, int]  # objects behind all people
    hiding: tuple[int, int]  # objects among the people
    wild: bool  # colours, backdrop, blur


_RULES: Final = {
    "easy": _Level(
        people=(1, 2, 2, 3), height=(0.3, 1.1), pitch=(-5, 15), roll=6, outside=0.08, crowding=0, tries=6,
        families={"standing": 3, "walking": 3, "running": 2, "sitting": 1.5, "arms up": 2, "arms wide": 1.5,
                  "waving": 1.5, "hands on hips": 1, "bending": 1},
        decor=(0, 3), hiding=(0, 1), wild=False,
    ),
    "hard": _Level(
        people=(0, 1, 1, 2, 2, 3, 3, 4, 5, 6, 7, 8), height=(0.14, 1.5), pitch=(-12, 38), roll=14, outside=0.4,
        crowding=0.45, tries=1, families=dict.fromkeys(FAMILIES, 1.0) | {"standing": 2, "walking": 2, "running": 1.5},
        decor=(2, 9), hiding=(0, 4), wild=True,
    ),
}  # fmt: skip


# --------------------------------------------------------------------------------------------------- visibility
def _allowed_parts() -> NDArray[np.bool_]:
    """(K, 256): which owner codes, reduced to the part, show a key point where it lies."""
    shows: dict[str, tuple[str, ...]] = {
        "nose": ("head",), "eye": ("head",), "ear": ("head",), "shoulder": ("chest", "neck", "{s}_arm"),
        "elbow": ("{s}_arm", "{s}_fore"), "wrist": ("{s}_fore",), "hip": ("pelvis", "chest", "{s}_thigh"),
        "knee": ("{s}_thigh", "{s}_shin"), "ankle": ("{s}_shin", "{s}_foot"),
    }  # fmt: skip
    table = np.zeros((_K, BODY_PARTS), bool)
    for k, name in enumerate(COCO.keypoints):
        side, _, joint = name.rpartition("_")
        for part in shows[joint]:
            table[k, PART[part.format(s=side)]] = True
    return table


_ALLOWED: Final = _allowed_parts()
_WINDOW: Final = np.array([(y, x) for y in (-1, 0, 1) for x in (-1, 0, 1)])
_CENTRE: Final = 4
_MOST_OF_WINDOW: Final = 5
_TRUNK_JOINTS: Final = tuple(  # key point, sign of its side, 0 chest or 1 pelvis
    (COCO.keypoints.index(f"{side}_{joint}"), sign, trunk)
    for trunk, joint in enumerate(("shoulder", "hip"))
    for side, sign in (("left", 1.0), ("right", -1.0))
)
_TRUNK_PARTS: Final = np.array([PART["chest"], PART["pelvis"]])
_TURNED_AWAY: Final = -0.85  # a shoulder or hip on the far side of the trunk is behind it, not on it


def _turned_to_viewer(bodies: Bodies) -> NDArray[np.bool_]:
    """(P, 5) whether nose, eyes and ears are on the visible half of the head."""
    left, forward = bodies.head[:, 0], bodies.head[:, 2]
    return np.stack(
        [
            forward > NOSE_SHOWS,
            forward + 0.45 * left > FACE_SHOWS,
            forward - 0.45 * left > FACE_SHOWS,
            left > -0.12,
            -left > -0.12,
        ],
        1,
    )


def visibility(owner: NDArray[np.uint8], plan: Drawing) -> tuple[Floats, NDArray[np.float32]]:
    """Key points (P, K, 2) and their state (P, K): 2 visible, 1 hidden, 0 outside the image.

    A point is visible when the pixel it lies on (or most of the pixels around it, as limbs may be one pixel thin)
    shows a part of the same person that the point belongs to.
    """
    height, width = owner.shape
    points = plan.points[:, :_K]
    inside: NDArray[np.bool_] = np.all((points >= 0) & (points <= (width - 1, height - 1)), axis=-1)
    at = np.rint(points).astype(np.int64)[:, :, None, ::-1] + _WINDOW  # (P, K, 9, 2) row, column
    rows, columns = at[..., 0].clip(0, height - 1), at[..., 1].clip(0, width - 1)
    codes = owner[rows, columns].astype(np.int64)  # (P, K, 9)
    who, part = codes // BODY_PARTS, codes % BODY_PARTS
    own = who == np.arange(len(points))[:, None, None]
    shown = own & _ALLOWED[np.arange(_K)[None, :, None], part]
    for k, sign, trunk in _TRUNK_JOINTS:
        away = (plan.bodies.side[:, trunk] * sign < _TURNED_AWAY).reshape(-1, 1)
        shown[:, k] &= ~(away & np.isin(part[:, k], _TRUNK_PARTS))
    visible = shown[..., _CENTRE] | (shown.sum(-1) >= _MOST_OF_WINDOW)
    visible[:, :5] &= _turned_to_viewer(plan.bodies)
    state = np.where(inside, np.where(visible, 2.0, 1.0), 0.0).astype(np.float32)
    return np.where(inside[..., None], points, 0.0), state


# ------------------------------------------------------------------------------------------------------- labels
_FEWEST_POINTS: Final = 3
_LEAST_SHOWN: Final = 0.08  # of the pixels a person would have with nothing in front
_FEWEST_PIXELS: Final = 12


def _mask_boxes(owner: NDArray[np.uint8], people: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Visible pixels (P,) and their tight boxes (P, 4) of each person."""
    person = owner // BODY_PARTS
    counts = np.bincount(person.ravel(), minlength=people)[:people]
    boxes = np.zeros((people, 4), np.float32)
    for p in np.flatnonzero(counts):
        left, top, width, height = cv2.boundingRect(cv2.inRange(person, int(p), int(p)))
        boxes[p] = left, top, left + width, top + height
    return counts, boxes


def scene_persons(boxes: Array, keypoints: Array, visible: Array, areas: Array) -> Persons:
    """Persons of scenes: one class, and every key point exists."""
    labels, weights = np.zeros(len(boxes), np.int64), np.ones((len(boxes), _K), np.float32)
    return Persons(
        boxes=boxes, keypoints=keypoints, visible=visible, areas=areas, labels=labels, keypoint_weights=weights
    )


def label(owner: NDArray[np.uint8], plan: Drawing, drawn: NDArray[np.int64]) -> Persons:
    """The persons that can be seen; `drawn` (P,) their pixels before hiding."""
    size = owner.shape[0]
    points, state = visibility(owner, plan)
    areas, boxes = _mask_boxes(owner, len(points))
    labelled = state > 0
    low = np.where(labelled[..., None], points, np.inf).min(1)
    high = np.where(labelled[..., None], points, -np.inf).max(1)
    boxes[:, :2] = np.minimum(boxes[:, :2], low)
    boxes[:, 2:] = np.maximum(boxes[:, 2:], high)
    keep = areas >= np.maximum(_FEWEST_PIXELS, _LEAST_SHOWN * drawn)
    keep &= (labelled.sum(1) >= _FEWEST_POINTS) & ((state == 2).any(1))
    return scene_persons(
        boxes=boxes[keep].clip(0, size).astype(np.float32),
        keypoints=points[keep].astype(np.float32),
        visible=state[keep],
        areas=areas[keep].astype(np.float32),
    )


# -------------------------------------------------------------------------------------------------------- scene
def _people(level: _Level, rng: np.random.Generator) -> tuple[Bodies, Floats, Floats]:
    """Posed bodies, their girths (P,) and head sizes (P,)."""
    count = int(rng.choice(level.people))
    names, weights = list(level.families), np.array(list(level.families.values()))
    families = rng.choice(len(names), size=count, p=weights / weights.sum())
    angles = np.array([sample_angles(names[f], rng) for f in families]).reshape(count, len(ANGLES))
    lying = np.array([names[f].startswith("lying") for f in families], bool)
    yaw = rng.uniform(-180, 180, count)
    # A lying body is seen from its side; along the line of sight it would be a heap of parts.
    yaw = np.where(lying, np.sign(yaw) * (90 + rng.uniform(-40, 40, count)), yaw)
    shape = rng.uniform(0.9, 1.1, (count, 4))
    shape[:, 1] = rng.uniform(1.0, 1.3, count)  # large heads, as children have: faces tell left from right
    bodies = project(
        angles, yaw, pitch=rng.uniform(*level.pitch), roll=rng.uniform(-level.roll, level.roll, count),
        proportions=shape, perspective=rng.uniform(0, 0.22),
    )  # fmt: skip
    return bodies, rng.uniform(0.85, 1.2, count), shape[:, 1]


def _overlap(box: Floats, others: Floats) -> float:
    """Summed intersection of a box (4,) with others (N, 4) relative to the smaller of each pair."""
    if len(others) == 0:
        return 0.0
    sides = np.minimum(box[2:], others[:, 2:]) - np.maximum(box[:2], others[:, :2])
    area = np.minimum(np.prod(box[2:] - box[:2]), np.prod(others[:, 2:] - others[:, :2], axis=1))
    return float((np.prod(sides.clip(0), axis=1) / area).sum())


def _places(level: _Level, size: int, extents: Floats, rng: np.random.Generator) -> Floats:
    """Where the pelvis of each person goes (P, 2), given extents (P, 4) in pixels around it."""
    origin, boxes = np.zeros((len(extents), 2)), np.zeros((0, 4))
    for p, extent in enumerate(extents):
        room = extent[2:] - extent[:2]
        low = -extent[:2] - level.outside * room
        high = size - extent[2:] + level.outside * room
        low, high = np.minimum(low, high), np.maximum(low, high)
        tries = rng.uniform(low, high, (level.tries, 2))
        if p and rng.random() < level.crowding:
            near = origin[int(rng.integers(p))] + rng.normal(0, 0.35, 2) * room
            tries = np.clip(near, low, high)[None]
        placed = [np.tile(t, 2) + extent for t in tries]
        best = int(np.argmin([_overlap(box, boxes) for box in placed])) if len(tries) > 1 else 0
        origin[p] = tries[best]
        boxes = np.vstack([boxes, placed[best]])
    return origin


def _plan(level: _Level, size: int, rng: np.random.Generator) -> Drawing:
    """People placed in the image, the farthest first."""
    bodies, girth, heads = _people(level, rng)
    low, high = np.log(level.height)
    scale = np.exp(rng.uniform(low, high, len(girth))) * size
    # Small is far, mostly: a child may stand before an adult.
    order = np.argsort(np.log(scale) + rng.normal(0, 0.25 if level.wild else 0.1, len(scale)))
    bodies = Bodies(points=bodies.points[order], head=bodies.head[order], side=bodies.side[order])
    scale, girth, heads = scale[order], girth[order], heads[order]
    flat = bodies.points[..., :2] * scale[:, None, None]
    margin = 0.04 * scale[:, None]
    extents = np.concatenate([flat.min(1) - margin, flat.max(1) + margin], 1) if len(flat) else np.zeros((0, 4))
    return drawing(bodies, scale, _places(level, size, extents, rng), girth, heads)


def paint_scene(canvas: Canvas, plan: Drawing, looks: list[Look], hiding: dict[int, list[float]], vivid: float,
                rng: np.random.Generator) -> NDArray[np.int64]:  # fmt: skip
    """Draw the people of a plan from first to last; `hiding[p]` are sizes in pixels of objects drawn after person p,
    `vivid` the largest saturation of their colours.

    Returns:
        (P,) pixels of each person right after it was drawn.
    """
    drawn = np.zeros(len(looks), np.int64)
    for p, look in enumerate(looks):
        paint_person(canvas, plan, p, look)
        drawn[p] = np.count_nonzero(canvas.owner // BODY_PARTS == p)
        for extent in hiding.get(p, ()):
            colour = hsv(rng.uniform(0, 360), rng.uniform(0, 1) * vivid, rng.uniform(0.15, 1))
            paint_object(canvas, rng, extent, colour, OBJECT)
    return drawn


def _backdrop(level: _Level, size: int, rng: np.random.Generator) -> Canvas:
    image = wild_backdrop(rng, size) if level.wild else calm_backdrop(rng, size)
    canvas = Canvas(image, np.full((size, size), NOBODY, np.uint8))
    mean = float(image.mean()) / 255
    for _ in range(int(rng.integers(level.decor[0], level.decor[1] + 1))):
        if level.wild:
            colour = hsv(rng.uniform(0, 360), rng.uniform(0, 1), rng.uniform(0.1, 1))
        else:
            colour = hsv(rng.uniform(0, 360), 0.12, min(max(mean + rng.uniform(-0.15, 0.15), 0), 1))
        paint_object(canvas, rng, size * rng.uniform(0.08, 0.4), colour, NOBODY)
    return canvas


def _photograph(image: NDArray[np.uint8], level: _Level, rng: np.random.Generator) -> NDArray[np.uint8]:
    """What a camera adds: blur, contrast, noise."""
    size = image.shape[0]
    if not level.wild:
        return add_grain(image, rng, 4.0)
    if rng.random() < 0.5:
        image = np.asarray(cv2.GaussianBlur(image, (0, 0), rng.uniform(0.4, 1.1) * size / 160), np.uint8)
    gain = rng.uniform(0.75, 1.2)
    lit = cv2.convertScaleAbs(image, alpha=gain, beta=rng.uniform(0, 1) * 40 * max(1.2 - gain, 0.1))
    return add_grain(np.asarray(lit, np.uint8), rng, rng.uniform(2, 20))


def render(level: str, size: int, seed: int, index: int) -> Sample:
    """One scene: (size, size, 3) BGR, its persons labelled as COCO does. The same arguments give the same bytes.

    The box holds the person's visible pixels and its labelled key points, the area counts its visible pixels; a
    person of whom almost nothing can be seen has no label.

    Raises:
        Refused: unknown level, a size below 32, a negative seed or index.
    """
    if level not in _RULES:
        raise Refused(f"level {level!r}: no such level of scenes; choose one of {', '.join(SCENE_LEVELS)}")
    if size < SMALLEST:
        raise Refused(f"size {size}: scenes need at least {SMALLEST} pixels")
    if seed < 0 or index < 0:
        raise Refused(f"seed {seed}, index {index}: both must be 0 or more")
    rules = _RULES[level]
    rng = np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed, index, SCENE_LEVELS.index(level)])))
    canvas = _backdrop(rules, size, rng)
    plan = _plan(rules, size, rng)
    people = len(plan.scale)
    looks = [(hard_look if rules.wild else easy_look)(rng) for _ in range(people)]
    hiding: dict[int, list[float]] = {}
    for _ in range(int(rng.integers(rules.hiding[0], rules.hiding[1] + 1)) if people else 0):
        p = int(rng.integers(people))
        hiding.setdefault(p, []).append(float(plan.scale[p] * rng.uniform(0.15, 0.5)))
    drawn = paint_scene(canvas, plan, looks, hiding, 1.0 if rules.wild else 0.2, rng)
    persons = label(canvas.owner, plan, drawn)
    return Sample(
        image=_photograph(canvas.image, rules, rng),
        persons=persons,
        skeleton=COCO,
        image_id=index,
        crowd_index=crowd_index(persons.boxes, persons.keypoints, persons.visible),
    )


assert max(max(level.people) for level in _RULES.values()) <= MOST_PEOPLE
