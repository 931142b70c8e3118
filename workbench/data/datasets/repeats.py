"""The constants of OKS from persons that were annotated more than once.

As COCO made its own (cocodataset.org, key-point evaluation): sigma^2 is the mean of d^2 / s^2 over annotations, where d
is how far an annotator is from the truth and s^2 the area of the person. The truth is the mean of a person's
annotations here, so the sum is divided by one less than their number.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from workbench.data.datasets.table import MOST_PERSONS

SAME_BOX = 0.8  # overlap (IoU) from which two annotations of an image are taken for one person
SAME_POSE = (
    0.25  # and the median distance of their key points, as a share of the root of the area, up to which they are
)
ENOUGH = 20  # repeats of a key point, its mirror's included, below which nothing is estimated
DIGITS = 4


_Person = tuple[NDArray[np.float64], NDArray[np.float64], float]  # box (4,), key points (K, 3), area
Persons = Sequence[tuple[NDArray[np.float64], float]]  # annotations of one person: key points (K, 3) and area


def repeated(annotations: Iterable[Any], count: int) -> list[Persons]:
    """The persons that were annotated more than once, by their boxes. Copies of an annotation are no repeats.

    Args:
        count: key points of a person; annotations of another shape are passed over.
    """
    images: dict[tuple[Any, Any], list[_Person]] = defaultdict(list)
    for one in annotations:
        if (read := _read(one, count)) is not None:
            images[one.get("image_id"), one.get("category_id")].append(read)
    # an image of more is refused by whoever reads the persons
    return [group for people in images.values() if len(people) <= MOST_PERSONS for group in _groups(people)]


def _groups(people: Sequence[_Person]) -> Iterator[Persons]:
    """Those of an image that are one person, the last ones first."""
    boxes, poses = np.stack([box for box, _, _ in people]), np.stack([points for _, points, _ in people])
    left = [True] * len(people)
    for last in range(len(people) - 1, -1, -1):
        if not left[last]:
            continue
        _, points, area = people[last]
        group = [(points, area)]
        near = _near(boxes[last], boxes[:last])
        for other in near[_apart(points, poses[near]) <= SAME_POSE * area**0.5].tolist():
            if left[other]:
                left[other] = False
                _, found, size = people[other]
                if not any(np.array_equal(found, mine) for mine, _ in group):
                    group.append((found, size))
        if len(group) > 1:
            yield group


def _near(box: NDArray[np.float64], others: NDArray[np.float64]) -> NDArray[np.int64]:
    """Which of other boxes (N, 4) x, y, w, h lie where this one does."""
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):  # of boxes without extent, or without end
        sides = np.minimum(box[:2] + box[2:], others[:, :2] + others[:, 2:]) - np.maximum(box[:2], others[:, :2])
        sides = np.maximum(sides, 0)
        shared = sides[:, 0] * sides[:, 1]
        whole = box[2] * box[3] + others[:, 2] * others[:, 3] - shared
        return np.flatnonzero((whole > 0) & (shared / whole >= SAME_BOX))


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


def _read(one: Any, count: int) -> _Person | None:
    if not isinstance(one, Mapping) or one.get("iscrowd"):
        return None
    if any(isinstance(one.get(name), list | dict) for name in ("image_id", "category_id")):
        return None
    try:
        box, points = np.asarray(one.get("bbox"), np.float64), np.asarray(one.get("keypoints"), np.float64)
        area = float(one.get("area") or 0)
    except (TypeError, ValueError, OverflowError):
        return None
    if box.shape != (4,) or points.shape != (3 * count,) or not (np.isfinite(box).all() and np.isfinite(points).all()):
        return None
    return (box, points.reshape(count, 3), area) if area > 0 else None


def _apart(points: NDArray[np.float64], others: NDArray[np.float64]) -> NDArray[np.float64]:
    """The median distance (N,) of the key points (K, 3) that both label from those of others (N, K, 3); inf: none."""
    both = (points[:, 2] > 0) & (others[..., 2] > 0)
    with np.errstate(over="ignore", invalid="ignore"):  # of numbers without end
        away = np.sort(np.where(both, np.hypot(*np.moveaxis(others[..., :2] - points[:, :2], -1, 0)), np.inf))
        count, rows = both.sum(1), np.arange(len(others))
        middle = (away[rows, np.maximum(count - 1, 0) // 2] + away[rows, count // 2 * (count > 0)]) / 2
    return np.where(count > 0, middle, np.inf)
