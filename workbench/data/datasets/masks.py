"""Segmentations of the COCO format as masks: polygons, run lengths, and run lengths packed into a string."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from workbench.core.errors import Refused

Segmentation = Mapping[str, Any] | Sequence[Sequence[float]]


def mask_of(segmentation: Segmentation, height: int, width: int) -> NDArray[np.uint8]:
    """The mask (height, width) of one segmentation, 1 inside.

    Raises:
        Refused: neither polygons nor run lengths of an image of that size.
    """
    if isinstance(segmentation, Mapping):
        return _runs(segmentation, height, width)
    return _polygons(segmentation, height, width)


def unpack(packed: str | bytes) -> list[int]:
    """Run lengths from COCO's string: five bits a character from 48 on, lowest first, bit 6 for more, signed.

    From the fourth on, each length is stored as the difference to the one before the last.
    """
    data = packed.encode("ascii") if isinstance(packed, str) else packed
    counts: list[int] = []
    value = shift = 0
    for byte in data:
        bits = byte - 48
        value |= (bits & 31) << shift
        shift += 5
        if bits & 32:
            continue
        if bits & 16:
            value -= 1 << shift
        counts.append(value + counts[-2] if len(counts) > 2 else value)
        value = shift = 0
    return counts


def _runs(segmentation: Mapping[str, Any], height: int, width: int) -> NDArray[np.uint8]:
    counts = segmentation.get("counts")
    try:
        runs = np.asarray(unpack(counts) if isinstance(counts, (str, bytes)) else counts, np.int64)
    except (TypeError, ValueError) as error:
        raise Refused(f"run lengths {str(counts)[:40]!r}: expected a list of integers or COCO's string") from error
    if runs.ndim != 1 or (runs < 0).any() or runs.sum() != height * width:
        raise Refused(f"run lengths do not fill the image of {width}x{height}")
    return np.repeat(np.arange(len(runs), dtype=np.uint8) % 2, runs).reshape(width, height).T.copy()  # by columns


def _polygons(segmentation: Sequence[Sequence[float]], height: int, width: int) -> NDArray[np.uint8]:
    mask = np.zeros((height, width), np.uint8)
    try:
        rings = [np.asarray(ring, np.float64).reshape(-1, 2) for ring in segmentation]
    except (TypeError, ValueError) as error:
        raise Refused(f"polygons {str(segmentation)[:40]!r}: expected lists of x, y, x, y, ...") from error
    for ring in rings:  # one by one: where rings overlap they add up, they do not cancel
        if not np.isfinite(ring).all():
            raise Refused("polygons with numbers that are not finite")
        if len(ring):
            cv2.fillPoly(mask, [np.rint(ring).astype(np.int32)], (1,))
    return mask
