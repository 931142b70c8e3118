"""Slices: quality by the size of persons and by crowding, from the match records of complete jobs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from workbench.core.errors import Refused
from workbench.data.crowding import crowd_index
from workbench.evaluation.bootstrap import resampled_metric
from workbench.evaluation.metrics import with_intervals
from workbench.evaluation.records import MatchRecords
from workbench.experiments.claims import Results
from workbench.report.frames import Frame
from workbench.report.truth import PersonLabel, area_of, persons_by_image
from workbench.training.source import validation

CROWDING = (0.0, 0.2, 0.8)  # upper ends of all bins but the last: none at all, then about as CrowdPose cuts
SLICE_COLUMNS = ["row", "seed", "trunk", "by", "slice", "images", "persons"]
FEWEST = 20  # images of a slice that is still shown


def slices_frame(results: Results, home: Path, data: Path | None = None) -> Frame:
    """One line per run and kind of image. Empty where the data set is not at hand.

    Match records know images, not persons, so a slice is a set of images: by the size of its median person, and by
    how crowded it is. Images without a labelled person are in no slice.
    """
    try:
        truth = validation(results[0][0].job, home, data).truth
    except Refused:
        return pd.DataFrame(columns=SLICE_COLUMNS)
    slices = slices_of(images_frame(truth))
    if not slices:
        return pd.DataFrame(columns=SLICE_COLUMNS)
    lines: list[dict[str, Any]] = []
    for one, result in results:
        records = MatchRecords.load(result.folder / "records.npz")
        weights = np.stack([np.isin(records.image_ids, list(ids)).astype(np.int64) for _, ids in slices])
        values = {metric.name: resampled_metric(records, weights, metric.name) for metric in with_intervals()}
        about = {"row": one.row, "seed": one.job.seed, "trunk": one.trunk}
        lines += [
            {**about, **what, "persons": int(w @ records.oks_count), **{m: v[i] for m, v in values.items()}}
            for i, ((what, _), w) in enumerate(zip(slices, weights, strict=True))
        ]
    return pd.DataFrame(lines)


def images_frame(truth: Mapping[str, Any]) -> Frame:
    """One line per image with a labelled person: the root of its median person's area in pixels, and its crowd index.

    The crowd index (arXiv 1812.00324) is the data set's own where it has one, else worked out from boxes and points:
    the mean over persons of others' key points in the person's box by own ones, at most 1.
    """
    persons = persons_by_image(truth)
    return pd.DataFrame(
        [
            {
                "image": image["id"],
                "size": float(np.median([area_of(ann) ** 0.5 for ann in persons[image["id"]]])),
                "crowding": float(image.get("crowdIndex", _crowding(persons[image["id"]]))),
            }
            for image in truth["images"]
            if image["id"] in persons
        ],
        columns=["image", "size", "crowding"],
    )


def _crowding(persons: Sequence[PersonLabel]) -> float:
    boxes = np.array([ann["bbox"] for ann in persons], np.float32)
    boxes[:, 2:] += boxes[:, :2]
    points = np.array([ann["keypoints"] for ann in persons], np.float32).reshape(len(persons), -1, 3)
    return crowd_index(boxes, points[..., :2], points[..., 2])


def slices_of(images: Frame) -> list[tuple[dict[str, Any], set[int]]]:
    """What each slice is and the numbers of its images; those with fewer than `FEWEST` are left out.

    Sizes are cut into three equal parts of the images; crowding at `CROWDING`.
    """
    thirds = [float(v) for v in images["size"].quantile([1 / 3, 2 / 3])]
    found = [*_cut(images, "size", thirds, "{:.0f}".format), *_cut(images, "crowding", CROWDING, "{:g}".format)]
    return [(what, ids) for what, ids in found if len(ids) >= FEWEST]


def _cut(
    images: Frame, by: str, ends: Iterable[float], text: Callable[[float], str]
) -> list[tuple[dict[str, Any], set[int]]]:
    low, cuts = -np.inf, [*ends, np.inf]
    found = []
    for high in cuts:
        chosen: Any = images[(images[by] > low) & (images[by] <= high)]
        if high == 0:
            name = "0"
        elif np.isinf(low):
            name = f"up to {text(high)}"
        else:
            name = f"above {text(low)}" if np.isinf(high) else f"{text(low)} to {text(high)}"
        found.append(({"by": by, "slice": name, "images": len(chosen)}, set(chosen["image"].tolist())))
        low = high
    return found
