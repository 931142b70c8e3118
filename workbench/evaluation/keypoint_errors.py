"""How far each kind of key point is off: which of them a network places well, and which it does not."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from workbench.core.keypoints import Skeleton
from workbench.evaluation.coco_ap import with_areas
from workbench.evaluation.matching import MAX_DETECTIONS
from workbench.evaluation.records import OKS_THRESHOLDS
from workbench.tensors import Detections, Floats

_Person = dict[str, Any]


@dataclass(frozen=True)
class KeypointError:
    """Over the persons that were matched at OKS 0.5, as the metric NME.

    Fields:
        points: how many of them have this key point labelled.
        nme: mean distance in units of the root of the person's area; pixels: median distance. Both nan without any.
    """

    name: str
    points: int
    nme: float
    pixels: float


def keypoint_errors(
    gt: dict[str, Any], detections: Sequence[Detections], skeleton: Skeleton, *, crowdpose: bool = False
) -> list[KeypointError]:
    """Of each key point, in their order.

    Args:
        gt, detections: as of `evaluate_coco`; crowdpose: areas as of `evaluate_crowdpose`.
    """
    truth = with_areas(gt, len(skeleton), from_box=crowdpose)
    places = {int(one): c for c, one in enumerate(sorted(one["id"] for one in truth["categories"]))}
    people: dict[tuple[int, int], list[_Person]] = defaultdict(list)
    for one in truth["annotations"]:
        if one["category_id"] in places:
            people[one["image_id"], places[one["category_id"]]].append(one)
    sigmas = np.asarray(skeleton.sigmas, np.float64)
    rows: tuple[list[Floats], list[Floats]] = ([], [])  # of each pair (K,): shares of the root of the area, and pixels
    for found in detections:
        for label in np.unique(found.labels).tolist():
            for at, person in _matched(found, label, people[found.image_id, label], sigmas):
                apart = _distances(found.keypoints[at], person)
                rows[0].append(apart / max(float(person["area"]), np.finfo(float).eps) ** 0.5)
                rows[1].append(apart)
    shares, pixels = (np.reshape(one, (-1, len(skeleton))).T for one in rows)  # (K, pairs)
    return [_error(*one) for one in zip(skeleton.keypoints, shares, pixels, strict=True)]


def _error(name: str, shares: Floats, pixels: Floats) -> KeypointError:
    known = ~np.isnan(pixels)
    if not known.any():
        return KeypointError(name, 0, math.nan, math.nan)
    return KeypointError(name, int(known.sum()), float(shares[known].mean()), float(np.median(pixels[known])))


def _matched(found: Detections, label: int, people: Sequence[_Person], sigmas: Floats) -> list[tuple[int, _Person]]:
    """Detections of one class in one image with the persons that they match at OKS 0.5, by COCO's rules."""
    rows = np.flatnonzero(found.labels == label)
    rows = rows[np.argsort(-found.scores[rows], kind="stable")][:MAX_DETECTIONS]
    oks = np.array([[_oks(found.keypoints[row], person, sigmas) for person in people] for row in rows.tolist()])
    ignored = np.array([bool(one["iscrowd"]) or not one["num_keypoints"] for one in people], bool)
    crowd = np.array([bool(one["iscrowd"]) for one in people], bool)
    taken, pairs = np.zeros(len(people), bool), list[tuple[int, _Person]]()
    for row, values in zip(rows.tolist(), oks, strict=True):
        free = (values >= OKS_THRESHOLDS[0]) & (crowd | ~taken)
        chosen = free & ~ignored if (free & ~ignored).any() else free
        if not chosen.any():
            continue
        best = len(people) - 1 - int(np.where(chosen, values, -1.0)[::-1].argmax())  # the later one of equal ones
        taken[best] = True
        if not ignored[best] and max(people[best]["keypoints"][2::3]) > 0:
            pairs.append((row, people[best]))
    return pairs


def _points(person: _Person) -> tuple[Floats, NDArray[np.bool_]]:
    """Places (K, 2), and which are labelled (K,)."""
    points = np.asarray(person["keypoints"], np.float64).reshape(-1, 3)
    return points[:, :2], points[:, 2] > 0


def _distances(points: NDArray[Any], person: _Person) -> Floats:
    """(K,) in pixels, nan where the person's is not labelled."""
    places, labelled = _points(person)
    return np.where(labelled, np.hypot(*(points - places).T), np.nan)


def _oks(points: NDArray[Any], person: _Person, sigmas: Floats) -> float:
    """A person without a labelled key point stands for its box made three times as large."""
    places, labelled = _points(person)
    if labelled.any():
        offsets, sigmas = (points - places)[labelled].astype(np.float64), sigmas[labelled]
    else:
        corner, size = np.reshape(np.asarray(person["bbox"], np.float64), (2, 2))
        offsets = np.maximum(0, corner - size - points) + np.maximum(0, points - (corner + 2 * size))
    exponents = (offsets**2).sum(1) / (2 * sigmas) ** 2 / (float(person["area"]) + np.spacing(1)) / 2
    return float(np.exp(-exponents).mean())
