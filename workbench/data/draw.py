"""Draws boxes and poses on images: contact sheets of samples, pictures of predictions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from workbench.core.keypoints import Skeleton
from workbench.tensors import Array, Detections, Sample

_Image = NDArray[np.uint8]
_Colour = tuple[int, int, int]

_LEFT: Final[_Colour] = (0, 110, 255)  # warm
_RIGHT: Final[_Colour] = (255, 140, 0)  # cold
_MIDDLE: Final[_Colour] = (80, 220, 80)
_BOX: Final[_Colour] = (0, 230, 255)
_TILE: Final = 320  # smallest shown side of an image in pixels
_GAP: Final = 4
_STRIP: Final = 20  # pixels above a picture, for its caption
_DARK: Final = 40
_WHITE: Final[_Colour] = (255, 255, 255)
_SURE: Final = 0.3  # predictions below this score are not drawn


def side_colour(pose: Skeleton, k: int) -> _Colour:
    """Of a key point, BGR: left is warm, right is cold, the middle green."""
    return {"left": _LEFT, "right": _RIGHT, None: _MIDDLE}[pose.side(k)]


def limb_colour(pose: Skeleton, a: int, b: int) -> _Colour:
    """Of a limb, BGR: that of the side that an end of it is of."""
    first, second = side_colour(pose, a), side_colour(pose, b)
    return first if first == second else second if first == _MIDDLE else first if second == _MIDDLE else _MIDDLE


def _pixel(point: Array, scale: float) -> tuple[int, int]:
    """Centre of a pixel in the enlarged image."""
    x, y = (np.asarray(point, float) + 0.5) * scale - 0.5
    return round(float(x)), round(float(y))


def draw_persons(
    image: _Image,
    boxes: Array,
    keypoints: Array,
    skeleton: Skeleton,
    visible: Array | None = None,
    scores: Array | None = None,
    *,
    least_side: int = _TILE,
    threshold: float = 0.5,
) -> _Image:
    """A copy of an image with persons drawn on it, enlarged by a whole factor to at least `least_side` pixels.

    Args:
        image: (H, W, 3) uint8 BGR.
        boxes: (P, 4) x1, y1, x2, y2 in pixels of `image`.
        keypoints: (P, K, 2) in pixels of `image`.
        skeleton: what the K key points are, and the limbs between them.
        visible: (P, K) states (2 coloured with a white rim, 1 black with a coloured rim, 0 not drawn) or, where no
            value is above 1, scores: drawn above `threshold`. None: all are drawn as visible.
        scores: (P,) printed at the boxes. None: nothing is printed.
    """
    factor = max(1, -(-least_side // max(image.shape[:2])))
    shown = cv2.resize(image, None, fx=factor, fy=factor, interpolation=cv2.INTER_NEAREST)
    shown = np.ascontiguousarray(shown, dtype=np.uint8)
    if len(boxes) == 0:
        return shown
    state = np.full(keypoints.shape[:2], 2.0, np.float32) if visible is None else np.asarray(visible, np.float32)
    hidden_below = 1.5 if state.max(initial=0.0) > 1.0 else threshold
    for p, box in enumerate(boxes):
        cv2.rectangle(shown, _pixel(box[:2], factor), _pixel(box[2:], factor), _BOX, 1)
        if scores is not None:
            at = _pixel(box[:2], factor)
            cv2.putText(shown, f"{scores[p]:.2f}", (at[0] + 2, at[1] + 12), cv2.FONT_HERSHEY_SIMPLEX, 0.4, _BOX, 1)
        _draw_pose(shown, skeleton, keypoints[p], state[p], factor, threshold, hidden_below)
    return shown


def _draw_pose(
    shown: _Image, pose: Skeleton, points: Array, state: Array, factor: float, threshold: float, hidden_below: float
) -> None:
    for a, b in pose.limbs:
        if state[a] > threshold and state[b] > threshold:
            colour = limb_colour(pose, a, b)
            cv2.line(shown, _pixel(points[a], factor), _pixel(points[b], factor), colour, 1, cv2.LINE_AA)
    for k in range(len(pose)):
        if state[k] <= threshold:
            continue
        at = _pixel(points[k], factor)
        seen = state[k] > hidden_below
        cv2.circle(shown, at, 3, _WHITE if seen else side_colour(pose, k), -1)
        cv2.circle(shown, at, 2, side_colour(pose, k) if seen else (0, 0, 0), -1)


def draw_sample(sample: Sample) -> _Image:
    """A copy of a sample's image with its labelled persons drawn on it."""
    persons = sample.persons
    return draw_persons(sample.image, persons.boxes, persons.keypoints, sample.skeleton, persons.visible)


def draw_detections(sample: Sample, found: Detections, *, print_scores: bool = True) -> _Image:
    """A copy of a sample's image with the persons found on it whose score is 0.3 or more."""
    sure = found.scores >= _SURE
    return draw_persons(
        sample.image,
        found.boxes[sure],
        found.keypoints[sure],
        sample.skeleton,
        found.keypoint_scores[sure],
        scores=found.scores[sure] if print_scores else None,
    )


def contact_sheet(samples: Sequence[Sample], columns: int = 5) -> _Image:
    """Samples side by side, BGR uint8, with boxes and limbs.

    Left is warm, right is cold, a hidden key point is black inside. Images are enlarged by whole
    factors and padded to the largest of them.
    """
    return _sheet([draw_sample(sample) for sample in samples], columns)


def _sheet(tiles: Sequence[_Image], columns: int) -> _Image:
    if not tiles:
        return np.zeros((_GAP, _GAP, 3), np.uint8)
    columns = max(1, min(columns, len(tiles)))
    height, width = max(t.shape[0] for t in tiles) + _GAP, max(t.shape[1] for t in tiles) + _GAP
    sheet = np.zeros((-(-len(tiles) // columns) * height, columns * width, 3), np.uint8)
    for i, tile in enumerate(tiles):
        top, left = i // columns * height, i % columns * width
        sheet[top : top + tile.shape[0], left : left + tile.shape[1]] = tile
    return sheet


def predictions(samples: Sequence[Sample], found: Sequence[Detections], columns: int = 6) -> _Image:
    """Each sample twice, side by side: what is there, and what was found with a score of 0.3 and more.

    Above each picture stand the id of its image and which of the two it is.
    """
    tiles: list[_Image] = []
    for one, seen in zip(samples, found, strict=True):
        tiles.append(captioned(draw_sample(one), f"image {one.image_id}: truth"))
        tiles.append(captioned(draw_detections(one, seen), f"image {one.image_id}: found"))
    return _sheet(tiles, columns)


def captioned(picture: _Image, caption: str) -> _Image:
    """(H + 20, W, 3): a picture below a dark strip with a line of text."""
    strip = np.full((_STRIP, picture.shape[1], 3), _DARK, np.uint8)
    cv2.putText(strip, caption, (3, _STRIP - 6), cv2.FONT_HERSHEY_SIMPLEX, 0.45, _WHITE, 1, cv2.LINE_AA)
    return np.concatenate((strip, picture))
