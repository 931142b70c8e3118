"""What no person can look like: key points of another unit, far outside, or in other places than the boxes.

A single slip is put right or only told. Where several persons are wrong alike, the file speaks of something else than
pixels of its images, and whatever is trained or judged on it would be wrong without a sign.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from workbench.data.datasets.findings import Findings
from workbench.tensors import Flags, Floats

_SLIPS = 0.05  # share of persons up to which a fault is one of single persons
_WIDER = 0.25  # of its sides: how much a box is widened before key points count as outside it
_FAR = 0.25  # of an image's longer side: how far outside is no slip
_EMPTY = 0.25  # of a box's side: how much of it stays empty if it is given as two corners
_NEAR = 1.0  # pixels over the edge that rounding explains
PERSONS_TOGETHER = 16_384  # are looked at together: of all of COCO's, what is computed on the way would take 100 MB


@dataclass(frozen=True)
class Looks:
    """What is looked at. A persons, K key points.

    Fields:
        names: of the annotations, (A,).
        boxes: (A, 4) x, y, width, height; sizes: (A, 2) width and height of the image.
        keypoints: (A, K, 3); labelled: (A, K), none of persons that are no target.
    """

    names: NDArray[np.object_]
    boxes: Floats
    sizes: Floats
    keypoints: NDArray[np.floating]
    labelled: Flags

    @property
    def persons(self) -> Flags:
        """(A,) who has a labelled key point."""
        return np.asarray(self.labelled.any(1))


def _by_lots(look: Callable[[Looks], NDArray[Any]], seen: Looks) -> NDArray[Any]:
    """What `look`, which knows no person of another, gives for all."""
    lots = [slice(start, start + PERSONS_TOGETHER) for start in range(0, max(len(seen.names), 1), PERSONS_TOGETHER)]
    names = [one.name for one in fields(Looks)]
    return np.concatenate([look(Looks(*(getattr(seen, name)[lot] for name in names))) for lot in lots])


def check_places(seen: Looks, findings: Findings) -> None:
    """Finds fault with persons that are wrong in numbers; notes single ones."""
    persons = seen.persons
    if not persons.any():
        return
    normalised = persons & _by_lots(_normalised, seen)
    small = persons & ((seen.boxes[:, :2] + seen.boxes[:, 2:]).max(1) <= 1.5) & (seen.sizes.max(1) > 8)
    corners = persons & _corners(seen)
    pixels = "(from 0 to 1) where pixels are expected, annotations"
    _told(f"key points that look normalised {pixels}", normalised, seen, findings)
    _told(f"boxes that look normalised {pixels}", small, seen, findings)
    _told("boxes that look like two corners, x, y, width, height expected, annotations", corners, seen, findings)
    relative = persons & ~(normalised | small | corners) & _relative(seen)
    _told("key points that look relative to their box, annotations", relative, seen, findings)
    outside = persons & ~(normalised | small | corners | relative) & _by_lots(_mostly_outside, seen)
    _told("persons with most of their key points outside their box, annotations", outside, seen, findings)


def _told(kind: str, who: Flags, seen: Looks, findings: Findings) -> None:
    if who.any():
        many = who.sum() > max(_SLIPS * seen.persons.sum(), 1)
        (findings.add if many else findings.note)(kind, *seen.names[who])


def check_twice(seen: Looks, images: NDArray[np.int64], findings: Findings) -> None:
    """Finds fault with persons that stand in the file twice, as in exports that were joined: each would count.

    Args:
        images: (A,) the place of each one's image.
    """
    places = np.column_stack([images, seen.boxes, seen.keypoints.sum((1, 2))])  # so that equal persons are neighbours
    order = np.lexsort(places.T)
    after, before = order[1:], order[:-1]
    alike = np.flatnonzero((places[after] == places[before]).all(1))
    same = (seen.keypoints[after[alike]] == seen.keypoints[before[alike]]).all((1, 2))
    again = np.zeros(len(places), bool)
    again[after[alike[same]]] = True
    kind = "persons that stand there twice, with the same box and key points in the same image, annotations"
    _told(kind, again & seen.persons, seen, findings)


def _normalised(seen: Looks) -> Flags:
    largest = np.where(seen.labelled[..., None], seen.keypoints[..., :2], -np.inf).max((1, 2))
    return (largest <= 1.0) & (seen.boxes[:, 2:].min(1) > 3)


def _mostly_outside(seen: Looks) -> Flags:
    corner, side = seen.boxes[:, None, :2], seen.boxes[:, None, 2:]
    places, margin = seen.keypoints[..., :2], _WIDER * side + _NEAR
    inside = ((places >= corner - margin) & (places <= corner + side + margin)).all(2) & seen.labelled
    return 2 * inside.sum(1) < seen.labelled.sum(1)


def _relative(seen: Looks) -> Flags:
    """Persons that fit their box only if it is moved to the corner of the image, where that fits nearly everyone."""
    there = _by_lots(lambda some: _all_within(some.keypoints[..., :2], some), seen)
    if there[seen.persons].mean() < 1 - _SLIPS:
        return np.zeros(len(there), bool)
    return there & ~_by_lots(lambda some: _all_within(some.keypoints[..., :2] - some.boxes[:, None, :2], some), seen)


def _all_within(places: NDArray[np.floating], seen: Looks) -> Flags:
    """(A,): whether all labelled places (A, K, 2) lie between 0 and the sides of their box."""
    inside = ((places >= -_NEAR) & (places <= seen.boxes[:, None, 2:] + _NEAR)).all(2)
    return np.asarray((inside | ~seen.labelled).all(1))


def _corners(seen: Looks) -> Flags:
    """Persons whose box fits as x1, y1, x2, y2; none where the boxes also fit as they should be read.

    They do not where they reach beyond their images, or where most leave their right or lower part empty.
    """
    low, high = seen.boxes[:, :2], seen.boxes[:, 2:]
    over = (low + high > seen.sizes + 2).any(1) & seen.persons
    places, known = seen.keypoints[..., :2], seen.labelled[..., None]
    inside = (~known | ((places >= low[:, None] - _NEAR) & (places <= high[:, None] + _NEAR))).all((1, 2))
    fits = (high > low).all(1) & (high <= seen.sizes + _NEAR).all(1) & (low.max(1) > 2) & inside & seen.persons
    empty = fits & (low > _EMPTY * high).any(1)
    wrong = over.sum() > _SLIPS * seen.persons.sum() or 2 * empty.sum() > seen.persons.sum()
    return fits if wrong else np.zeros(len(fits), bool)


def outside_image(seen: Looks, findings: Findings) -> Flags:
    """(A, K): labelled key points a little outside the image, which nobody can see; those far outside are a fault."""
    far, over = _by_lots(_beyond, seen).swapaxes(0, 1)
    if far.any(1).sum() > max(_SLIPS / 5 * seen.persons.sum(), 1):
        findings.add("labelled key points far outside the image, annotations", *seen.names[far.any(1)])
    return over


def _beyond(seen: Looks) -> Flags:
    """(A, 2, K): labelled key points far outside the image, and those outside it at all."""
    places = seen.keypoints[..., :2]
    over = np.maximum(-places.min(2), (places - seen.sizes[:, None]).max(2))  # pixels beyond the nearest edge
    return np.stack((over > _FAR * seen.sizes.max(1)[:, None], over > _NEAR), 1) & seen.labelled[:, None]
