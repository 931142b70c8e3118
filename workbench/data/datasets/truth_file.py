"""An annotation file on its own, without its images, as the truth that a file of results is judged by."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

from workbench.core.errors import DataFault, Refused
from workbench.core.keypoints import Skeleton
from workbench.data.datasets.annotations import EvaluationRules
from workbench.data.datasets.categories import category_records
from workbench.data.datasets.classes import NO_CLASS, classes_of
from workbench.data.datasets.findings import Findings
from workbench.data.datasets.keypoints import Columns, keypoints_of
from workbench.data.datasets.parsing import parsed
from workbench.data.datasets.pictures import ImageEntry, pictures_of
from workbench.data.datasets.rows import rows_of
from workbench.data.datasets.table import table_of
from workbench.data.datasets.truth import truth_of


@dataclass(frozen=True)
class TruthFile:
    """What an annotation file says, put right as for training.

    Fields:
        truth: in COCO's form, columns in the order of `skeleton`, categories 1, 2, 3, ... in that of the labels.
        evaluation: CrowdPose's rules where the images have a crowd index, else COCO's.
        images: of each id in the file, that in `truth`; files: likewise by the name of the file, where it is but once.
        labels, columns: of each category, by `category_key`: its label, and where its key points stand.
        notes: what was put right.
    """

    file: Path
    truth: dict[str, Any]
    skeleton: Skeleton
    evaluation: EvaluationRules
    images: Mapping[Any, int]
    files: Mapping[str, int]
    labels: Mapping[str, int]
    columns: Mapping[str, Columns]
    notes: tuple[str, ...]


def read_truth(file: Path) -> TruthFile:
    """The truth that an annotation file in COCO's form holds. A `keypoints.json` beside it has its say.

    Raises:
        Refused: there is no such file, or nothing says which key points it has.
        DataFault: something in it is wrong: one line for each kind, with its count and the first offenders.
    """
    if not file.is_file():
        raise Refused(f"no annotation file {file}")
    keypoints, classes, findings = keypoints_of([file], file.parent), classes_of(file), Findings()
    skeleton, labels = keypoints.skeleton, classes.labels[file]
    found = parsed(file, partial(rows_of, keypoints=len(skeleton)))
    columns = keypoints.columns(category_records(file) or (), file.name)
    pictures, places = pictures_of(map(_with_name, found.images), file.parent, findings)
    table = table_of(found.persons, pictures, places, labels, columns, skeleton, findings)
    if findings:
        faults = "".join(f"\n  {line}" for line in findings.lines())
        raise DataFault(f"{file} can not be judged by; correct it first:{faults}")
    numbers = range(1, len(classes.names) + 1)
    return TruthFile(
        file,
        truth_of(table, skeleton, classes.names, numbers),
        skeleton,
        _rules(found.images),
        {name: pictures[place].id for name, place in places.items()},
        _by_file(pictures),
        {key: label for key, label in labels.items() if label != NO_CLASS},
        columns,
        (keypoints.said, *findings.notes()),
    )


def _with_name(image: Any) -> Any:
    """Nobody asks for its file."""
    return {"file_name": str(image.get("id")), **image} if isinstance(image, Mapping) else image


def _rules(images: Sequence[Any]) -> EvaluationRules:
    return "crowdpose" if images and all(isinstance(one, Mapping) and "crowdIndex" in one for one in images) else "coco"


def _by_file(pictures: Sequence[ImageEntry]) -> dict[str, int]:
    names = [PurePosixPath(picture.file).name for picture in pictures]
    count = Counter(names)
    return {name: picture.id for name, picture in zip(names, pictures, strict=True) if count[name] == 1}
