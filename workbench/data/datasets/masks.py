"""Segmentations of the COCO format as masks: polygons, run lengths, and run lengths packed into a string.

They are decoded by pycocotools, so a mask is what every reader of the format makes of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as rle

from workbench.core.errors import Refused

Segmentation = Mapping[str, Any] | Sequence[Sequence[float] | NDArray[np.float64]]
_AROUND = 10  # sides of its image that a polygon may reach beyond it: pycocotools walks along its edges pixel by pixel


def mask_of(segmentation: Segmentation, height: int, width: int) -> NDArray[np.uint8]:
    """The mask (height, width) of one segmentation, 1 inside.

    Raises:
        Refused: neither polygons nor run lengths of an image of that size.
    """
    if not fits(segmentation, height, width):
        raise Refused(
            f"segmentation {str(segmentation)[:40]!r}: expected polygons x, y, x, y, ... or run lengths of "
            f"{width}x{height} pixels"
        )
    if isinstance(segmentation, Mapping):
        counts = segmentation["counts"]
        runs = unpack(counts) if isinstance(counts, str | bytes) else [int(n) for n in counts]
        packed: Any = rle.frPyObjects({"counts": runs, "size": [height, width]}, height, width)  # pyright: ignore
    else:
        rings: Any = [np.asarray(ring, np.float64).ravel().tolist() for ring in segmentation]
        packed = rle.merge(rle.frPyObjects(rings, height, width))
    return np.asarray(rle.decode(packed), np.uint8)


def fits(segmentation: Any, height: int, width: int) -> bool:
    """Whether it can be decoded for an image of that size; nothing is decoded for it."""
    if isinstance(segmentation, Mapping):
        return _runs_fit(segmentation.get("counts"), height * width)
    try:
        rings = [np.asarray(ring, np.float64) for ring in segmentation]
    except (TypeError, ValueError):
        return False
    far = (_AROUND + 1) * max(height, width)
    return bool(rings) and all(_is_ring(ring, far) for ring in rings)


def _is_ring(ring: NDArray[np.float64], far: float) -> bool:
    # pycocotools takes a ring of four numbers for a box, hence six
    return ring.ndim == 1 and ring.size >= 6 and ring.size % 2 == 0 and bool((np.abs(ring) <= far).all())


def _runs_fit(counts: Any, pixels: int) -> bool:
    try:
        runs = np.asarray(unpack(counts) if isinstance(counts, str | bytes) else counts, np.int64)
    except (TypeError, ValueError, OverflowError, IndexError):
        return False
    return runs.ndim == 1 and bool((runs >= 0).all()) and int(runs.sum()) == pixels


def unpack(packed: str | bytes) -> list[int]:
    """Run lengths from COCO's string: five bits a character from 48 on, lowest first, bit 6 for more, signed.

    From the fourth on, each length is stored as the difference to the one before the last. pycocotools trusts such a
    string, and reads beyond its end where it is wrong: hence the look at it.
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
