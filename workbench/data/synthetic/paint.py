"""Draws posed bodies, objects and backgrounds, and keeps for every pixel what it shows.

A canvas has the picture and an owner map: `person * BODY_PARTS + part`, `OBJECT` or `NOBODY`. Visibility of key points,
masks and areas are read from the owner map, so they are exact whatever hides what.
"""

from __future__ import annotations

import colorsys
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from workbench.data.synthetic.body import NAMES, Bodies, points_named
from workbench.tensors import Floats

_Image = NDArray[np.uint8]
Colour = tuple[int, int, int]  # BGR

BODY_PARTS: Final = 16
OBJECT: Final = 254
NOBODY: Final = 255
MOST_PEOPLE: Final = 15  # owner codes below OBJECT
_PART_NAMES: Final = (
    "chest", "pelvis", "head", "neck", "left_arm", "right_arm", "left_fore", "right_fore", "left_thigh", "right_thigh",
    "left_shin", "right_shin", "left_foot", "right_foot",
)  # fmt: skip
PART: Final = {name: i for i, name in enumerate(_PART_NAMES)}

_SHIFT: Final = 4  # fractional bits of the polygon corners
_POINT: Final = {name: i for i, name in enumerate(NAMES)}


@dataclass(slots=True)
class Canvas:
    image: _Image  # (H, W, 3), BGR
    owner: _Image  # (H, W)


def _limbs() -> tuple[tuple[str, str, float, float, str, str], ...]:
    """From, to, radius at either end in body units, part, what colours it."""
    rows: list[tuple[str, str, float, float, str, str]] = [("neck", "chin", 0.036, 0.036, "neck", "skin")]
    for s in ("left", "right"):
        rows += [
            (f"{s}_shoulder", f"{s}_elbow", 0.043, 0.034, f"{s}_arm", f"{s}_arm"),
            (f"{s}_elbow", f"{s}_wrist", 0.034, 0.025, f"{s}_fore", f"{s}_fore"),
            (f"{s}_wrist", f"{s}_fingers", 0.025, 0.024, f"{s}_fore", f"{s}_hand"),
            (f"{s}_hip", f"{s}_knee", 0.062, 0.046, f"{s}_thigh", f"{s}_thigh"),
            (f"{s}_knee", f"{s}_ankle", 0.045, 0.03, f"{s}_shin", f"{s}_shin"),
            (f"{s}_heel", f"{s}_toe", 0.031, 0.024, f"{s}_foot", f"{s}_foot"),
        ]
    return tuple(rows)


_LIMBS: Final = _limbs()
_FROM: Final = np.array([_POINT[a] for a, *_ in _LIMBS])
_TO: Final = np.array([_POINT[b] for _, b, *_ in _LIMBS])
_RADII: Final = np.array([[ra, rb] for _, _, ra, rb, *_ in _LIMBS])
_HULLS: Final = (("chest", np.array(points_named("chest"))), ("pelvis", np.array(points_named("pelvis"))))
_PATCHES: Final = tuple((name, np.array(points_named(name))) for name in ("front", "badge", "back"))
_HEAD_RADIUS: Final = {"face": 0.073, "hair": 0.08, "skull": 0.078}
_EARS: Final = (("left_ear", 1.0, "left_ear"), ("right_ear", -1.0, "right_ear"))

_ARC: Final = np.linspace(-np.pi / 2, np.pi / 2, 6)
_CIRCLE: Final = np.stack(
    [np.cos(np.linspace(0, 2 * np.pi, 16, endpoint=False)), np.sin(np.linspace(0, 2 * np.pi, 16, endpoint=False))], -1
)


def _capsules(points: Floats, radii: Floats) -> Floats:
    """Outlines (P, L, 12, 2) of tapered limbs. points (P, M, 2) pixels, radii (P, L, 2) pixels."""
    a, b = points[:, _FROM], points[:, _TO]
    angle = np.arctan2(b[..., 1] - a[..., 1], b[..., 0] - a[..., 0])[..., None] + _ARC
    unit = np.stack([np.cos(angle), np.sin(angle)], -1)
    far = b[..., None, :] + unit * radii[..., 1, None, None]
    near = a[..., None, :] - unit * radii[..., 0, None, None]
    return np.concatenate([far, near], -2)


def _fixed(corners: Floats) -> NDArray[np.int32]:
    return np.rint(corners * (1 << _SHIFT)).astype(np.int32)


def fill(canvas: Canvas, corners: NDArray[np.int32], colour: Colour, code: int, outline: Colour | None = None) -> None:
    """Fill a convex polygon (corners in 1/16 pixel) in the picture and the owner map."""
    cv2.fillConvexPoly(canvas.image, corners, colour, cv2.LINE_8, _SHIFT)
    cv2.fillConvexPoly(canvas.owner, corners, code, cv2.LINE_8, _SHIFT)
    if outline is not None:
        cv2.polylines(canvas.image, [corners], True, outline, 1, cv2.LINE_8, _SHIFT)


def hsv(hue: float, saturation: float, value: float) -> Colour:
    """BGR of a hue in degrees and saturation, value in 0..1."""
    r, g, b = colorsys.hsv_to_rgb(hue % 360 / 360, saturation, value)
    return int(b * 255), int(g * 255), int(r * 255)


def shade(colour: Colour, factor: float) -> Colour:
    b, g, r = (min(int(c * factor), 255) for c in colour)
    return b, g, r


# ------------------------------------------------------------------------------------------------------ clothes
Look = dict[str, Colour]  # a colour for each limb, patch and feature

_SKIN: Final = ((180, 205, 240), (140, 175, 225), (105, 145, 200), (75, 110, 165), (50, 75, 120), (35, 50, 85))
_HAIR: Final = ((25, 25, 30), (30, 45, 70), (45, 75, 120), (90, 150, 200), (160, 160, 165), (40, 60, 150))


def _pick(rng: np.random.Generator, colours: tuple[Colour, ...]) -> Colour:
    return colours[int(rng.integers(len(colours)))]


def _common(rng: np.random.Generator) -> Look:
    skin = _pick(rng, _SKIN)
    return {
        "skin": skin, "face": skin, "hair": _pick(rng, _HAIR), "left_ear": shade(skin, 0.82),
        "right_ear": shade(skin, 0.82), "nose": shade(skin, 0.6), "left_hand": skin, "right_hand": skin,
    }  # fmt: skip


def easy_look(rng: np.random.Generator) -> Look:
    """Left limbs in warm, right limbs in cold colours, a grey trunk with a bright chest and a dark back."""
    look = _common(rng)
    trunk = rng.uniform(0.4, 0.7)
    for side, low, high in (("left", -12.0, 48.0), ("right", 170.0, 255.0)):
        hue = rng.uniform(low, high)
        for limb, value in (("arm", 0.95), ("fore", 1.0), ("hand", 1.0), ("thigh", 0.85), ("shin", 0.95)):
            look[f"{side}_{limb}"] = hsv(hue + rng.uniform(-8, 8), rng.uniform(0.7, 1.0), value)
        look[f"{side}_foot"] = hsv(hue, 0.9, 0.55)
        look[f"{side}_ear"] = hsv(hue, 0.9, 0.9)
    look |= {
        "chest": hsv(0, 0, trunk), "pelvis": hsv(0, 0, trunk * 0.7), "front": hsv(0, 0, 0.97), "back": hsv(0, 0, 0.1),
        "badge": look["left_arm"],
    }  # fmt: skip
    return look


def hard_look(rng: np.random.Generator) -> Look:
    """Any clothes: both sides alike but for a badge on the left of the chest, a watch-side sleeve now and then."""
    look = _common(rng)
    skin = look["skin"]
    shirt = hsv(rng.uniform(0, 360), rng.uniform(0.1, 0.95), rng.uniform(0.25, 1.0))
    trousers = hsv(rng.uniform(0, 360), rng.uniform(0.05, 0.8), rng.uniform(0.15, 0.9))
    shoes = hsv(rng.uniform(0, 360), rng.uniform(0, 0.9), rng.uniform(0.1, 0.9))
    sleeve = int(rng.integers(3))  # none, short, long
    legs_bare = rng.random() < 0.35
    for side in ("left", "right"):
        look |= {
            f"{side}_arm": shirt if sleeve else skin, f"{side}_fore": shirt if sleeve == 2 else skin,
            f"{side}_thigh": trousers, f"{side}_shin": skin if legs_bare else trousers, f"{side}_foot": shoes,
        }  # fmt: skip
    light = sum(shirt) > 330
    look |= {
        "chest": shirt, "pelvis": trousers,
        "front": hsv(rng.uniform(0, 360), rng.uniform(0, 0.5), rng.uniform(0.1, 0.35) if light else 0.95),
        "back": shade(shirt, 0.5),
        "badge": hsv(rng.uniform(0, 360), 0.9, 0.35 if light else 1.0),
    }  # fmt: skip
    return look


# ------------------------------------------------------------------------------------------------------- people
@dataclass(frozen=True, slots=True)
class Drawing:
    """Bodies placed in the image: everything that `paint_person` needs, computed for all at once."""

    bodies: Bodies
    points: Floats  # (P, M, 2) pixels
    scale: Floats  # (P,) pixels per body unit
    capsules: NDArray[np.int32]  # (P, L, 12, 2)
    corners: NDArray[np.int32]  # (P, M, 2)
    head_size: Floats  # (P,)
    fronting: NDArray[np.bool_]  # (P, patches)


def drawing(bodies: Bodies, scale: Floats, origin: Floats, girth: Floats, head_size: Floats) -> Drawing:
    """Place bodies: scale (P,) pixels per body unit, origin (P, 2) pixel of the pelvis, girth (P,) of the limbs."""
    points = bodies.points[..., :2] * scale[:, None, None] + origin[:, None]
    radii = np.maximum(_RADII * (girth * scale)[:, None, None], 0.6)
    facing = [_faces_viewer(points[:, patch]) for _, patch in _PATCHES]
    return Drawing(
        bodies, points, scale, _fixed(_capsules(points, radii)), _fixed(points), head_size, np.stack(facing, 1)
    )


def _faces_viewer(polygon: Floats) -> NDArray[np.bool_]:
    """(P,) whether polygons (P, C, 2) turn the way they do when seen from outside."""
    x, y = polygon[..., 0], polygon[..., 1]
    doubled = (x * np.roll(y, -1, 1) - y * np.roll(x, -1, 1)).sum(1)
    return doubled > 0


def paint_person(canvas: Canvas, plan: Drawing, who: int, look: Look) -> None:
    """Draw person `who` of a plan over what is there; the person's parts from the farthest to the nearest."""
    depth = plan.bodies.points[who, :, 2]
    outlined = plan.scale[who] > 48  # on small people an outline would drown the colour
    order = [(float(depth[a] + depth[b]) / 2, i) for i, (a, b) in enumerate(zip(_FROM, _TO, strict=True))]
    order += [(float(depth[hull].mean()), -1 - i) for i, (_, hull) in enumerate(_HULLS)]
    order.append((float(depth[_POINT["skull"]]), len(_LIMBS)))
    code = who * BODY_PARTS
    for z, item in sorted(order):
        light = min(max(0.9 + 0.7 * z, 0.7), 1.1)
        if item == len(_LIMBS):
            _paint_head(canvas, plan, who, look, outlined)
        elif item < 0:
            _paint_trunk(canvas, plan, who, look, -1 - item, outlined)
        else:
            *_, part, what = _LIMBS[item]
            colour = shade(look[what], light)
            fill(canvas, plan.capsules[who, item], colour, code + PART[part], shade(colour, 0.62) if outlined else None)


def _paint_trunk(canvas: Canvas, plan: Drawing, who: int, look: Look, which: int, outlined: bool) -> None:
    name, hull = _HULLS[which]
    code = who * BODY_PARTS + PART[name]
    corners = cv2.convexHull(plan.corners[who, hull])[:, 0].astype(np.int32, copy=False)
    fill(canvas, corners, look[name], code, shade(look[name], 0.62) if outlined else None)
    if name == "chest":
        for i, (patch, points) in enumerate(_PATCHES):
            if plan.fronting[who, i]:
                fill(canvas, plan.corners[who, points], look[patch], code)


def _disc(canvas: Canvas, centre: Floats, radius: float, colour: Colour, code: int, outline: Colour | None) -> None:
    fill(canvas, _fixed(centre + _CIRCLE * radius), colour, code, outline)


def _paint_head(canvas: Canvas, plan: Drawing, who: int, look: Look, outlined: bool) -> None:
    """Hair and face as two balls in their order of depth, then what the turn of the head shows."""
    points, code = plan.points[who], who * BODY_PARTS + PART["head"]
    unit = plan.scale[who] * plan.head_size[who]
    left, up, forward = (float(v) for v in plan.bodies.head[who])
    balls = [("hair", -forward + 0.5 * up), ("face", forward - 0.4)]
    for name, _ in sorted(balls, key=lambda ball: ball[1]):
        line = shade(look[name], 0.62) if outlined else None
        _disc(canvas, points[_POINT[name]], max(_HEAD_RADIUS[name] * unit, 1.0), look[name], code, line)
    for ear, sign, colour in _EARS:
        if sign * left > 0.12:
            _disc(canvas, points[_POINT[ear]], max(0.022 * unit, 0.6), look[colour], code, None)
    for name, facing in (("left_eye", forward + 0.45 * left), ("right_eye", forward - 0.45 * left)):
        if facing > FACE_SHOWS:
            _disc(canvas, points[_POINT[name]], max(0.021 * unit, 0.6), (250, 250, 250), code, None)
            _disc(canvas, points[_POINT[name]], max(0.013 * unit, 0.5), (20, 20, 20), code, None)
    if forward > NOSE_SHOWS:
        _disc(canvas, points[_POINT["nose"]], max(0.016 * unit, 0.6), look["nose"], code, None)


FACE_SHOWS: Final = 0.15
NOSE_SHOWS: Final = -0.12


# -------------------------------------------------------------------------------------------- objects, backdrop
def paint_object(canvas: Canvas, rng: np.random.Generator, extent: float, colour: Colour, code: int) -> None:
    """A box, disc, triangle or bar of about `extent` pixels anywhere; `code` OBJECT hides people, NOBODY is decor."""
    height, width = canvas.owner.shape
    centre = rng.uniform((0, 0), (width, height))
    kind, angle = int(rng.integers(4)), rng.uniform(0, np.pi)
    if kind == 0:
        unit = np.array([(-1, -1), (1, -1), (1, 1), (-1, 1)], float) * rng.uniform(0.4, 1, 2)
        angle = 0.0 if rng.random() < 0.6 else angle
    elif kind == 1:
        unit = _CIRCLE * rng.uniform(0.4, 1, 2)
    elif kind == 2:
        unit = np.array([(-1, -0.6), (1, -0.4), (0.1, 0.9)]) * rng.uniform(0.5, 1.2, 2)
    else:
        unit = np.array([(-1, -1), (1, -1), (1, 1), (-1, 1)], float) * (rng.uniform(1, 3), rng.uniform(0.04, 0.12))
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    fill(canvas, _fixed(centre + unit @ turn * (extent / 2)), colour, code)


def calm_backdrop(rng: np.random.Generator, size: int) -> _Image:
    """A soft gradient of dull colours."""
    corners = rng.uniform(70, 190) + rng.uniform(-18, 18, (2, 2, 3))
    return cv2.resize(corners.astype(np.float32), (size, size), interpolation=cv2.INTER_LINEAR).astype(np.uint8)


def wild_backdrop(rng: np.random.Generator, size: int) -> _Image:
    """Colour clouds of two grains, stripes or a checkerboard, now and then a floor."""
    base = rng.uniform(40, 215, 3)
    out = np.zeros((size, size, 3), np.float32) + base.astype(np.float32)
    for grain, contrast in ((int(rng.integers(2, 7)), rng.uniform(5, 45)), (int(rng.integers(8, 33)), 22.0)):
        cloud = rng.normal(0, contrast, (grain, grain, 3)).astype(np.float32)
        out += cv2.resize(cloud, (size, size), interpolation=cv2.INTER_LINEAR)
    pattern = rng.random()
    ramp = np.arange(size, dtype=np.float32)
    if pattern < 0.3:
        turn, wave = rng.uniform(0, np.pi), rng.uniform(4, 16) * size / 128
        phase = (ramp * np.cos(turn))[:, None] + (ramp * np.sin(turn))[None]
        out += (np.sin(phase * np.float32(2 * np.pi / wave)) * np.float32(rng.uniform(6, 22)))[..., None]
    elif pattern < 0.5:
        cell = rng.uniform(5, 16) * size / 128
        odd = (ramp // cell).astype(np.int32)
        out += (((odd[:, None] + odd[None]) % 2) * np.float32(rng.uniform(8, 30)))[..., None]
    if rng.random() < 0.35:
        out[int(size * rng.uniform(0.5, 0.9)) :] += rng.uniform(-50, 50, 3).astype(np.float32)
    return np.clip(out, 0, 255).astype(np.uint8)


def add_grain(image: _Image, rng: np.random.Generator, strength: float) -> _Image:
    """Uniform noise of +-`strength` grey levels; bytes of the generator are far cheaper than normal deviates."""
    noise = np.frombuffer(rng.bytes(image.size), np.uint8).reshape(image.shape)
    factor = strength / 127.5
    return np.asarray(cv2.addWeighted(image, 1.0, noise, factor, -127.5 * factor), np.uint8)
