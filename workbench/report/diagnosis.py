"""How far each key point is off, and what kind of error that is, from the networks of complete jobs.

Match records know images, not key points, and predictions are not stored: networks are rebuilt from their weights and
run once more on the validation images, one run per row. Kinds of error are those of Ronchi and Perona (Benchmarking and
error diagnosis in multi-instance pose estimation, ICCV 2017), with the thresholds of their program. A detection is
matched at OKS 0.1 and more. The similarity exp(-d²/2s²k²) of a predicted key point is taken to the same key point of
the matched person, to that one's mirror image, and to both in every other person of the image. The largest decides:

    good       the true place, at least 0.85          inversion   the mirror image, at least 0.5
    jitter     the true place, 0.5 to 0.85            swap        another person, at least 0.5
    miss       nothing reaches 0.5
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from workbench.components.similarity import point_similarity
from workbench.core.errors import Refused
from workbench.core.keypoints import Skeleton
from workbench.experiments.claims import Results
from workbench.report.frames import Frame
from workbench.report.networks import detections_of, most_rows
from workbench.report.truth import PersonLabel, area_of, persons_by_image
from workbench.tensors import Detections, Floats, Ints
from workbench.training.source import validation

ERROR_KINDS = ("good", "jitter", "inversion", "swap", "miss")
MATCHED, NEAR, CLOSE = 0.1, 0.5, 0.85  # of OKS; of a key point's similarity
IMAGES = 1_000  # at most
POINT_COLUMNS = ["row", "seed", "trunk", "keypoint", "points", "error", *ERROR_KINDS]


@dataclass(frozen=True)
class ImagePersons:
    """The labelled persons of an image: key points (P, K, 2), which are labelled (P, K), areas (P,)."""

    keypoints: Floats
    labelled: Any
    areas: Floats


def points_frame(results: Results, home: Path, data: Path | None = None) -> Frame:
    """One line per row and key point: labelled points of matched persons, mean error, and how many of each kind.

    The error is the mean distance in units of the root of the person's area. Empty where the networks of two rows or
    the data set are not at hand.
    """
    spot = most_rows([(one, result.folder) for one, result in results])
    if spot is None:
        return pd.DataFrame(columns=POINT_COLUMNS)
    seed, trunk, folders = spot
    job = next(one.job for one, result in results if result.folder in folders.values())
    try:
        judged = validation(job, home, data)
    except Refused:
        return pd.DataFrame(columns=POINT_COLUMNS)
    persons = {image: _persons(anns) for image, anns in persons_by_image(judged.truth).items()}
    first = range(min(IMAGES, len(judged.truth["images"])))
    lines = []
    for row, folder in folders.items():
        about = {"row": row, "seed": seed, "trunk": trunk}
        lines += [about | line for line in _diagnosed(detections_of(folder, judged, first), persons, judged.skeleton)]
    return pd.DataFrame(lines, columns=POINT_COLUMNS)


def _persons(anns: Sequence[PersonLabel]) -> ImagePersons:
    points = np.array([ann["keypoints"] for ann in anns], np.float64).reshape(len(anns), -1, 3)
    return ImagePersons(points[..., :2], points[..., 2] > 0, np.array([area_of(ann) for ann in anns]))


def _diagnosed(
    found: Iterator[Detections], persons: Mapping[int, ImagePersons], skeleton: Skeleton
) -> list[dict[str, Any]]:
    """One line per key point."""
    counts = np.zeros((len(skeleton), len(ERROR_KINDS)), np.int64)
    error = np.zeros(len(skeleton))
    for one in found:
        if one.image_id in persons:
            there = persons[one.image_id]
            for person, predicted in matches(one, there, np.array(skeleton.sigmas)):
                kinds = kinds_of(predicted, there, person, skeleton)
                mine = there.labelled[person]
                counts[mine, kinds[mine]] += 1
                distance = np.hypot(*(predicted - there.keypoints[person]).T)
                error[mine] += distance[mine] / np.sqrt(there.areas[person])
    points = counts.sum(1)
    return [
        {"keypoint": name.replace("_", " "), "points": int(points[k])}
        | {"error": error[k] / points[k] if points[k] else np.nan}
        | dict(zip(ERROR_KINDS, counts[k].tolist(), strict=True))
        for k, name in enumerate(skeleton.keypoints)
    ]


def _similarity(predicted: Floats, true: Floats, persons: ImagePersons, sigmas: Floats) -> Floats:
    """Of the key points (K, 2) of one prediction to those of each person, (P, K, 2): (P, K), 1 is the same place."""
    values = (torch.from_numpy(np.asarray(value)) for value in (predicted, true, persons.areas, sigmas))
    return point_similarity(*values).numpy()


def matches(found: Detections, persons: ImagePersons, sigmas: Floats) -> list[tuple[int, Floats]]:
    """(person, predicted key points (K, 2)): best score first, each takes the free person of the highest OKS."""
    free = np.ones(len(persons.areas), bool)
    taken = []
    for p in np.argsort(-found.scores, kind="stable"):
        predicted = found.keypoints[p].astype(np.float64)
        near = _similarity(predicted, persons.keypoints, persons, sigmas)  # (P, K)
        oks = (near * persons.labelled).sum(1) / persons.labelled.sum(1)
        person = int(np.where(free, oks, -1).argmax())
        if free[person] and oks[person] >= MATCHED:
            free[person] = False
            taken.append((person, predicted))
    return taken


def kinds_of(predicted: Floats, persons: ImagePersons, person: int, skeleton: Skeleton) -> Ints:
    """(K,) index into `ERROR_KINDS` of each key point of a matched person. Unlabelled places can not be met."""
    sigmas, mirror = np.array(skeleton.sigmas), list(skeleton.flip)
    same = _similarity(predicted, persons.keypoints, persons, sigmas) * persons.labelled  # (P, K)
    turned = _similarity(predicted, persons.keypoints[:, mirror], persons, sigmas) * persons.labelled[:, mirror]
    turned[:, np.array(mirror) == np.arange(len(mirror))] = 0  # a nose has no mirror image
    others = np.arange(len(persons.areas)) != person
    elsewhere = np.concatenate([same[others], turned[others], np.zeros((1, len(mirror)))]).max(0)
    best = np.stack([same[person], turned[person], elsewhere])  # (3, K)
    which, value = best.argmax(0), best.max(0)
    kinds = np.array([ERROR_KINDS.index("jitter"), ERROR_KINDS.index("inversion"), ERROR_KINDS.index("swap")])[which]
    kinds[(which == 0) & (value >= CLOSE)] = ERROR_KINDS.index("good")
    kinds[value < NEAR] = ERROR_KINDS.index("miss")
    return kinds
