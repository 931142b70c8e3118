"""COCO results files: a list with one row per found person, as `coco_results` and `workbench predict` write them."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from workbench.core.errors import Refused
from workbench.data.datasets.classes import category_key
from workbench.data.datasets.findings import Findings
from workbench.data.datasets.pictures import identity
from workbench.data.datasets.truth_file import TruthFile
from workbench.tensors import Detections


@dataclass(frozen=True)
class ResultsFile:
    """What was found, by the ids of the truth's images.

    Fields:
        boxes: whether the rows have boxes; else the area of a person is that of its key points.
        notes: what was taken in another way than it stands there.
    """

    detections: list[Detections]
    boxes: bool
    notes: tuple[str, ...]

    @property
    def persons(self) -> int:
        return sum(map(len, self.detections))


def read_results(file: Path, truth: TruthFile) -> ResultsFile:
    """The rows of a results file. Numbers are kept as they stand there, so scores come from them to the last bit.

    A row's image is the one of its `file_name`, where it has one that the truth knows, else that of its `image_id`. Its
    key points stand in the order of its category in the annotation file.

    Raises:
        Refused: no such file, no list of rows, or rows that do not fit the truth: one line for each kind.
    """
    rows = _rows(file)
    reader = _Reader(truth, rows)
    taken = [one for row in enumerate(rows) if (one := reader.read(*row)) is not None]
    if reader.findings:
        faults = "".join(f"\n  {line}" for line in reader.findings.lines())
        raise Refused(f"{file} does not fit {truth.file}:{faults}")
    by_image: dict[int, list[_Row]] = {}
    for one in taken:
        by_image.setdefault(one.image, []).append(one)
    boxes = bool(rows) and reader.boxes
    return ResultsFile(
        [_detections(i, some, truth) for i, some in by_image.items()], boxes, (*reader.findings.notes(),)
    )


def _rows(file: Path) -> list[Any]:
    try:
        found = json.loads(file.read_bytes())
    except FileNotFoundError:
        raise Refused(f"no results file {file}") from None
    except OSError as error:
        raise Refused(f"results file {file} cannot be read: {error.strerror}") from None
    except (ValueError, RecursionError) as error:
        raise Refused(f"malformed JSON in {file}: {error}") from None
    if isinstance(found, Mapping):
        found = found.get("annotations")
    if not isinstance(found, list):
        raise Refused(f"{file} holds no results; expected a list of rows with image_id, category_id, keypoints, score")
    return found


@dataclass(slots=True)
class _Row:
    image: int
    label: int
    points: list[float]  # x, y, score of each key point, in the order of the truth's set
    score: float
    box: list[float]  # x, y, width, height


class _Reader:
    """Rows one by one; what is wrong with them is collected."""

    def __init__(self, truth: TruthFile, rows: Sequence[Any]) -> None:
        self.truth, self.findings = truth, Findings()
        self.boxes = any(isinstance(row, Mapping) and row.get("bbox") for row in rows)
        self.count = 3 * len(truth.skeleton)
        keys = {category_key(row.get("category_id")) for row in rows if isinstance(row, Mapping)}
        self.only = len(truth.labels) == 1 and len(keys) == 1 and keys.isdisjoint(truth.labels)
        if self.only:
            key, name = *keys, truth.truth["categories"][0]["name"]
            self.findings.note(f"category_id {key} of the results is taken for the only category, {name!r}")

    def read(self, at: int, row: Any) -> _Row | None:
        if not isinstance(row, Mapping):
            self.findings.add("rows that are no objects", at)
            return None
        image, key = self._image(row), self._category(row)
        points, score = _numbers(row.get("keypoints"), self.count), _numbers([row.get("score")], 1)
        box = _numbers(row.get("bbox"), 4) if self.boxes else [0.0] * 4
        faults = {
            "rows of an image that the annotation file has not, image_id": image is None,
            "rows of a category that the annotation file has not, category_id": key is None,
            f"rows without {self.count} numbers as key points ({self.truth.skeleton.name})": points is None,
            "rows without a score": score is None,
            "rows without a bbox of four numbers, while others have one": box is None,
        }
        for kind in (kind for kind, wrong in faults.items() if wrong):
            word = kind.rpartition(" ")[2]
            self.findings.add(kind, row.get(word) if word in ("image_id", "category_id") else f"row {at}")
        if image is None or key is None or points is None or score is None or box is None:
            return None
        return _Row(image, self.truth.labels[key], self._ordered(points, key), score[0], box)

    def _image(self, row: Mapping[str, Any]) -> int | None:
        by_file = self.truth.files.get(str(row.get("file_name")))
        return self.truth.images.get(identity(row.get("image_id"))) if by_file is None else by_file

    def _category(self, row: Mapping[str, Any]) -> str | None:
        if self.only:
            return next(iter(self.truth.labels))
        key = category_key(row.get("category_id"))
        return key if key in self.truth.labels else None

    def _ordered(self, points: list[float], key: str) -> list[float]:
        columns = self.truth.columns.get(key, ())
        if list(columns) == list(range(len(columns))):
            return points
        return [number for k in columns for number in points[3 * k : 3 * k + 3]]


def _numbers(given: Any, count: int) -> list[float] | None:
    if not isinstance(given, list) or len(given) != count:
        return None
    right = all(isinstance(one, int | float) and not isinstance(one, bool) and math.isfinite(one) for one in given)
    return [float(one) for one in given] if right else None


def _detections(image: int, rows: Sequence[_Row], truth: TruthFile) -> Detections:
    """In double precision: a score rounded to single precision may be another one's equal."""
    points: Any = np.array([row.points for row in rows], np.float64).reshape(len(rows), len(truth.skeleton), 3)
    boxes: Any = np.array([row.box for row in rows], np.float64)
    boxes[:, 2:] += boxes[:, :2]
    scores: Any = np.array([row.score for row in rows], np.float64)
    return Detections(
        boxes=boxes,
        scores=scores,
        labels=np.array([row.label for row in rows], np.int64),
        keypoints=points[..., :2],
        keypoint_scores=points[..., 2],
        image_id=image,
    )
