"""The constants of OKS from persons that were annotated more than once.

As COCO made its own (cocodataset.org, key-point evaluation): sigma^2 is the mean of d^2 / s^2 over annotations, where d
is how far an annotator is from the truth and s^2 the area of the person. The truth is the mean of a person's
annotations here, so the sum is divided by one less than their number.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

SAME_BOX = 0.8  # overlap (IoU) from which two annotations of an image are taken for one person
SAME_POSE = (
    0.25  # and the median distance of their key points, as a share of the root of the area, up to which they are
)
ENOUGH = 20  # repeats of a key point, its mirror's included, below which nothing is estimated
DIGITS = 4

Persons = Sequence[tuple[NDArray[np.float64], float]]  # annotations of one person: key points (K, 3) and area


def repeated(annotations: Iterable[Any], count: int) -> list[Persons]:
    """The persons that were annotated more than once, by their boxes. Copies of an annotation are no repeats.

    Args:
        count: key points of a person; annotations of another shape are passed over.
    """
    images: dict[tuple[Any, Any], list[tuple[NDArray[np.float64], NDArray[np.float64], float]]] = defaultdict(list)
    for one in annotations:
        if (read := _read(one, count)) is not None:
            images[one.get("image_id"), one.get("category_id")].append(read)
    groups: list[Persons] = []
    for people in images.values():
        while people:
            box, points, area = people.pop()
            same = [
                other
                for other in people
                if _overlap(box, other[0]) >= SAME_BOX and _apart(points, other[1]) <= SAME_POSE * area**0.5
            ]
            people[:] = [other for other in people if all(other is not one for one in same)]
            group = [(points, area)]
            for _, found, size in same:
                if not any(np.array_equal(found, mine) for mine, _ in group):
                    group.append((found, size))
            if len(group) > 1:
                groups.append(group)
    return groups


def estimated_sigmas(groups: Sequence[Persons], flip: Sequence[int]) -> tuple[float, ...] | None:
    """The constant of each key point, the same for both sides; None where a key point was not repeated enough."""
    squares, free = np.zeros(len(flip)), np.zeros(len(flip))
    for group in groups:
        points = np.stack([found for found, _ in group])  # (N, K, 3)
        seen = points[..., 2:] > 0
        labelled = seen.sum(0)[:, 0]
        mean = np.where(seen, points[..., :2], 0).sum(0) / np.maximum(labelled, 1)[:, None]
        areas = np.array([area for _, area in group]).mean()
        squares += (np.where(seen, points[..., :2] - mean, 0) ** 2).sum((0, 2)) / areas
        free += np.maximum(labelled - 1, 0)
    both = list(flip)
    squares, free = squares + squares[both], free + free[both]
    own = np.asarray(both) == np.arange(len(both))
    if len(flip) == 0 or (free / np.where(own, 2, 1) < ENOUGH).any():
        return None
    sigmas = tuple(round(float(sigma), DIGITS) for sigma in np.sqrt(squares / free))
    return sigmas if all(sigma > 0 for sigma in sigmas) else None


def _read(one: Any, count: int) -> tuple[NDArray[np.float64], NDArray[np.float64], float] | None:
    if not isinstance(one, Mapping) or one.get("iscrowd"):
        return None
    try:
        box, points = np.asarray(one.get("bbox"), np.float64), np.asarray(one.get("keypoints"), np.float64)
        area = float(one.get("area") or 0)
    except (TypeError, ValueError):
        return None
    if box.shape != (4,) or points.shape != (3 * count,) or not (np.isfinite(box).all() and np.isfinite(points).all()):
        return None
    return (box, points.reshape(count, 3), area) if area > 0 else None


def _apart(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    """The median distance of the key points that both label."""
    both = (a[:, 2] > 0) & (b[:, 2] > 0)
    return float(np.median(np.hypot(*(a - b)[both, :2].T))) if both.any() else np.inf


def _overlap(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    """Of two boxes x, y, w, h."""
    sides = np.minimum(a[:2] + a[2:], b[:2] + b[2:]) - np.maximum(a[:2], b[:2])
    shared = float(np.prod(np.maximum(sides, 0)))
    whole = float(np.prod(a[2:]) + np.prod(b[2:])) - shared
    return shared / whole if whole > 0 else 0.0
