"""Pictures of a data set: each person with its id and its key points with their numbers, the names beside the image."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from workbench.core.keypoints import Skeleton
from workbench.data.draw import draw_persons
from workbench.tensors import Sample

_SIDE = 720  # smallest shown side of an image in pixels
_INK, _PAPER = (30, 30, 30), (255, 255, 255)
_LINE = 18  # pixels between lines of names
_COLUMN = 210

_Image = NDArray[np.uint8]


class _Annotated(Protocol):
    def __len__(self) -> int: ...
    def __getitem__(self, index: int, /) -> Sample: ...
    def annotation_ids(self, index: int, /) -> list[int]: ...


def write_pictures(dataset: _Annotated, folder: Path, count: int) -> Iterator[Path]:
    """Writes `count` images of a data set, evenly spread over it, and gives their files."""
    folder.mkdir(parents=True, exist_ok=True)
    for index in np.unique(np.linspace(0, len(dataset) - 1, min(count, len(dataset))).round().astype(int)).tolist():
        sample = dataset[index]
        path = folder / f"{sample.image_id}.png"
        cv2.imwrite(str(path), draw_numbered(sample, dataset.annotation_ids(index)))
        yield path


def draw_numbered(sample: Sample, ids: Sequence[int]) -> _Image:
    """A sample's image (H, W, 3) BGR, enlarged by a whole factor, with a column of names.

    Regions to ignore are grey; left is warm, right is cold, a hidden key point is black inside.
    """
    persons, image = sample.persons, sample.image.copy()
    if sample.ignore is not None:
        image[sample.ignore > 0] = image[sample.ignore > 0] // 2 + 64
    shown = draw_persons(image, persons.boxes, persons.keypoints, sample.skeleton, persons.visible, least_side=_SIDE)
    factor = shown.shape[0] / image.shape[0]
    for box, points, states, name in zip(persons.boxes, persons.keypoints, persons.visible, ids, strict=True):
        x, y = (box[:2] * factor).round().astype(int).tolist()
        _text(shown, f"id {name}", (x + 4, max(y - 6, 14)), 0.55)
        for k in np.flatnonzero(states > 0).tolist():
            px, py = (points[k] * factor).round().astype(int).tolist()
            _text(shown, str(k), (px + 7, py - 4), 0.4)
    return np.hstack([shown, _names(sample.skeleton, shown.shape[0])])


def _text(image: _Image, text: str, at: tuple[int, int], size: float) -> None:
    """Dark on a bright plate, inside the image: legible on any ground."""
    (width, height), below = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, size, 1)
    x = min(max(at[0], 2), max(image.shape[1] - width - 3, 2))
    y = min(max(at[1], height + 2), image.shape[0] - below - 1)
    cv2.rectangle(image, (x - 2, y - height - 1), (x + width + 1, y + below), _PAPER, -1)
    cv2.putText(image, text, (x, y), cv2.FONT_HERSHEY_SIMPLEX, size, _INK, 1, cv2.LINE_AA)


def _names(skeleton: Skeleton, height: int) -> _Image:
    rows = max((height - _LINE) // _LINE, 1)
    columns = -(-len(skeleton) // rows)
    legend = np.full((height, _COLUMN * columns, 3), 255, np.uint8)
    for k, name in enumerate(skeleton.keypoints):
        at = (8 + k // rows * _COLUMN, _LINE + k % rows * _LINE)
        cv2.putText(legend, f"{k} {name}", at, cv2.FONT_HERSHEY_SIMPLEX, 0.45, _INK, 1, cv2.LINE_AA)
    return legend
