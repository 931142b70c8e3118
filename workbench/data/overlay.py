"""Draws found persons on pictures of any size: lines and dots grow with the picture, and shrink with small persons.

Limbs are warm on a person's left and cold on its right. Each person has a box in a colour of its own with its score on
a plate. Dark edges keep all of it legible on any ground.
"""

from __future__ import annotations

from functools import lru_cache
from itertools import cycle
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from workbench.core.keypoints import Skeleton
from workbench.data.draw import limb_colour, side_colour
from workbench.tensors import Array, Detections

DRAWN_ABOVE = 0.3  # confidence of persons and key points that are drawn
_LEAST: Final = 480  # pixels of the longer side: smaller pictures are enlarged by a whole factor
_UNIT: Final = 640  # pixels of the longer side in which a line is `_LINE` wide
_LINE: Final = 2.4
_OF_PERSON: Final = 0.02  # width of a line in heights of the person, at most
_TEXT: Final = 0.022  # height of a score in longer sides of the picture
_SHIFT: Final = 4  # bits of a pixel's fraction
_DARK: Final = (25, 25, 25)
_BOXES: Final = ((60, 220, 250), (230, 200, 70), (180, 130, 255), (120, 235, 140), (250, 170, 190), (90, 160, 255))

_Image = NDArray[np.uint8]
_Colour = tuple[int, int, int]


def draw_found(image: _Image, found: Detections, skeleton: Skeleton, threshold: float = DRAWN_ABOVE) -> _Image:
    """A copy of an image (H, W, 3), BGR, with persons on it, the best one on top.

    Args:
        found: in pixels of `image`; `skeleton` names its key points.
        threshold: persons and key points below this confidence are left out.
    """
    factor = max(1, -(-_LEAST // max(image.shape[:2])))
    shown = np.ascontiguousarray(image.repeat(factor, 0).repeat(factor, 1))
    drawn = (found.scores >= threshold) & np.isfinite(found.boxes).all(1)
    best = [i for i in np.argsort(-found.scores, kind="stable").tolist() if drawn[i]]
    sure = list(zip(best, cycle(_BOXES), strict=False))
    for i, colour in reversed(sure):
        brush = _Brush(shown, factor, float(found.boxes[i, 3] - found.boxes[i, 1]))
        brush.box(found.boxes[i], colour)
        seen = (found.keypoint_scores[i] >= threshold) & np.isfinite(found.keypoints[i]).all(1)
        brush.pose(found.keypoints[i], seen, skeleton)
    for i, colour in reversed(sure):  # above all boxes and limbs
        _plate(shown, f"{found.scores[i]:.2f}", found.boxes[i, :2] * factor, colour)
    return shown


@lru_cache(maxsize=8)
def _colours(skeleton: Skeleton) -> tuple[list[_Colour], list[_Colour]]:
    """Of the key points and of the limbs; their names are read once, not for every person."""
    points = [side_colour(skeleton, k) for k in range(len(skeleton))]
    return points, [limb_colour(skeleton, a, b) for a, b in skeleton.limbs]


class _Brush:
    """Draws one person of a height in pixels of the image, enlarged by a factor, with lines of a fitting width."""

    def __init__(self, shown: _Image, factor: int, height: float) -> None:
        self.shown, self.factor = shown, factor
        wide = _LINE * max(shown.shape[:2]) / _UNIT
        self.width = max(1.0, min(wide, _OF_PERSON * height * factor))

    def box(self, box: Array, colour: _Colour) -> None:
        low, high = self._at(box[:2]), self._at(box[2:])
        thin = max(1, round(0.7 * self.width))
        cv2.rectangle(self.shown, low, high, _DARK, thin + 2, cv2.LINE_AA, _SHIFT)
        cv2.rectangle(self.shown, low, high, colour, thin, cv2.LINE_AA, _SHIFT)

    def pose(self, points: Array, seen: NDArray[np.bool_], skeleton: Skeleton) -> None:
        of_points, of_limbs = _colours(skeleton)
        limbs = [(a, b, colour) for (a, b), colour in zip(skeleton.limbs, of_limbs, strict=True) if seen[a] and seen[b]]
        edge = max(1.0, self.width / 2)
        for dark in (True, False):
            for a, b, colour in limbs:
                wide, ink = round(self.width + edge * dark), _DARK if dark else colour
                cv2.line(self.shown, self._at(points[a]), self._at(points[b]), ink, wide, cv2.LINE_AA, _SHIFT)
        for k in np.flatnonzero(seen).tolist():
            for colour, radius in ((_DARK, self.width * 1.2 + edge), (of_points[k], self.width * 1.2)):
                cv2.circle(
                    self.shown, self._at(points[k]), round(radius * (1 << _SHIFT)), colour, -1, cv2.LINE_AA, _SHIFT
                )

    def _at(self, point: Array) -> tuple[int, int]:
        """A point of the image in fractions of the enlarged image's pixels; what is far outside stays near it."""
        far = 4 * max(self.shown.shape[:2])
        x, y = np.clip((np.asarray(point, float) + 0.5) * self.factor - 0.5, -far, far) * (1 << _SHIFT)
        return round(float(x)), round(float(y))


def _plate(shown: _Image, text: str, corner: Array, colour: _Colour) -> None:
    """Dark on a plate above a box's corner, or below it where there is no room."""
    high = max(9.0, _TEXT * max(shown.shape[:2]))
    thick = max(1, round(high / 12))
    scale = high / cv2.getTextSize("0", cv2.FONT_HERSHEY_SIMPLEX, 1.0, thick)[0][1]
    (width, height), _ = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, scale, thick)
    edge = max(2, round(high / 5))
    x = int(np.clip(corner[0], 0, max(shown.shape[1] - width - 2 * edge, 0)))
    y = int(np.clip(corner[1], height + 2 * edge, shown.shape[0] - 1))
    cv2.rectangle(shown, (x, y - height - 2 * edge), (x + width + 2 * edge, y), colour, -1)
    cv2.putText(shown, text, (x + edge, y - edge), cv2.FONT_HERSHEY_SIMPLEX, scale, _DARK, thick, cv2.LINE_AA)
