"""The persons of an annotation file as columns of numbers, before anything is made of them.

A number in quotes is read as the number; what is no number is kept apart, for whoever says so.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from workbench.tensors import Flags

_LOT = 1024  # persons that are made into numbers together


@dataclass
class Column:
    """One kind of value of all persons.

    Fields:
        values: (A, N); nan where there is none or a wrong one. Key points are float32 where that holds each of them
            exactly, as it does COCO's, which are whole numbers: half of the memory.
        missing, wrong, quoted: (A,): none is given, it can not be read, or it holds numbers in quotes.
        counts: (A,) how many numbers are given.
    """

    values: NDArray[np.floating]
    missing: Flags
    wrong: Flags
    quoted: Flags
    counts: NDArray[np.int64]


@dataclass
class Rows:
    """All persons of a file, one row each, as they stand there.

    Fields:
        ids, images, categories: whatever the file has.
        boxes (A, 4), keypoints (A, 3 K), areas, crowd, counted (A, 1): numbers.
        segmentations: by row, where key points may not be learnt from it.
        strangers: how many annotations are no objects.
        told: what messages call each.
    """

    ids: list[Any]
    images: list[Any]
    categories: list[Any]
    boxes: Column
    keypoints: Column
    areas: Column
    crowd: Column
    counted: Column
    segmentations: dict[int, Any]
    strangers: int
    told: Sequence[Any]

    def __len__(self) -> int:
        return len(self.ids)


def rows_of(records: Iterator[Any], keypoints: int | None) -> Rows:
    """
    Args:
        keypoints: of a person; None: as many as the first one has.
    """
    ids, images, categories = list[Any](), list[Any](), list[Any]()
    parts = {name: _Growing(np.float64 if size else np.float32) for name, (_, size) in _READ.items()}
    segmentations: dict[int, Any] = {}
    strangers, width = 0, None if keypoints is None else 3 * keypoints
    for lot in _lots(records):
        people = [one for one in lot if isinstance(one, Mapping)]
        strangers += len(lot) - len(people)
        if width is None:
            width = _width(people)
        segmentations.update(_masks(people, len(ids)))
        for name, (key, size) in _READ.items():
            parts[name].add(_column([one.get(key) for one in people], size or width))
        ids += [one.get("id") for one in people]
        images += [one.get("image_id") for one in people]
        categories += [one.get("category_id") for one in people]
    columns = {name: parts[name].whole(size or width or 0) for name, (_, size) in _READ.items()}
    return Rows(ids, images, categories, **columns, segmentations=segmentations, strangers=strangers, told=ids)


_READ: Mapping[str, tuple[str, int]] = {  # of `Rows`: its name in the file, and how many numbers it is; 0: 3 K
    "boxes": ("bbox", 4),
    "keypoints": ("keypoints", 0),
    "areas": ("area", 1),
    "crowd": ("iscrowd", 1),
    "counted": ("num_keypoints", 1),
}


def _lots(records: Iterator[Any]) -> Iterator[list[Any]]:
    while lot := list(itertools.islice(records, _LOT)):
        yield lot


def _width(people: Sequence[Mapping[str, Any]]) -> int:
    first = next((one.get("keypoints") for one in people), None)
    return len(first) // 3 * 3 if isinstance(first, list) else 0


def _masks(people: Sequence[Mapping[str, Any]], start: int) -> Iterator[tuple[int, Any]]:
    """Of persons that key points may not be learnt from. Polygons and run lengths are kept as arrays: a fourth of the
    memory.
    """
    for row, one in enumerate(people, start):
        if not one.get("segmentation") or not _maybe_unlearnable(one):
            continue
        given = one["segmentation"]
        try:
            yield row, [np.asarray(ring, np.float64) for ring in given] if isinstance(given, list) else _runs(given)
        except (TypeError, ValueError):
            yield row, given


def _runs(given: Any) -> Any:
    """Run lengths as an array where they are a list of whole numbers; else what is given."""
    counts = given.get("counts") if isinstance(given, Mapping) else None
    found = np.array(counts) if isinstance(counts, list) else np.zeros(0)
    return {**given, "counts": found} if found.dtype == np.int64 and found.ndim == 1 else given


def _maybe_unlearnable(one: Mapping[str, Any]) -> bool:
    if one.get("iscrowd") or not one.get("num_keypoints"):
        return True
    box, points = one.get("bbox"), one.get("keypoints")
    return not isinstance(box, list) or not isinstance(points, list) or 0 in box[2:] or not any(points)


def _column(given: Sequence[Any], size: int) -> Column:
    """At once where all are numbers, as they mostly are, else one by one."""
    shape = (len(given), size)
    try:
        values = np.array(given) if size > 1 else np.array(given)[:, None]
    except (ValueError, IndexError, OverflowError):
        values = np.empty(0, object)
    if values.dtype.kind in "iufb" and values.shape == shape:
        nothing = np.zeros(len(given), bool)
        return Column(values.astype(np.float64), nothing, nothing, nothing, np.full(len(given), size))
    found = [_numbers(one, size) for one in given]
    missing, wrong, quoted = (np.array([one[i] for one in found], bool) for i in (1, 2, 3))
    values = np.array([one[0] for one in found], np.float64).reshape(shape)
    return Column(values, missing, wrong, quoted, np.array([one[4] for one in found], np.int64))


def _numbers(given: Any, size: int) -> tuple[Sequence[float], bool, bool, bool, int]:
    """The numbers, and whether they are missing, wrong or in quotes, and how many."""
    nothing = [np.nan] * size
    if given is None or given == []:
        return nothing, True, False, False, 0
    flat = _flat(given, size)
    if flat is None:
        return nothing, False, True, False, 0
    if size > 4:
        flat = _without_nulls(flat)
    try:
        numbers = [float(one) for one in flat]
    except (TypeError, ValueError, OverflowError):
        return nothing, False, True, False, len(flat)
    quoted = any(isinstance(one, str) for one in flat)
    return (numbers if len(numbers) == size else nothing), False, False, quoted, len(numbers)


def _flat(given: Any, size: int) -> list[Any] | None:
    if size == 1:
        return None if isinstance(given, list | dict) else [given]
    if not isinstance(given, list):
        return None
    nested = all(isinstance(one, list) and len(one) == 3 for one in given)
    return [number for one in given for number in one] if nested else given


def _without_nulls(flat: list[Any]) -> list[Any]:
    """A key point x, y, visibility without a place is not labelled."""
    for at in range(0, len(flat) - 2, 3):
        x, y, visible = flat[at : at + 3]
        if (x is None or y is None) and visible in (None, 0, "0", False):
            flat = [*flat[:at], 0, 0, 0, *flat[at + 3 :]]
    return flat


class _Growing:
    """A column to which lots are added. Its values grow in place: joined at the end, they would be there twice."""

    def __init__(self, dtype: type[np.floating]) -> None:
        self.lots: list[Column] = []  # without their values
        self.values: NDArray[np.floating] = np.zeros((0, 0), dtype)
        self.count = 0

    def add(self, lot: Column) -> None:
        """Appends the rows of a lot, whose width is the same each time."""
        start, self.count = self.count, self.count + len(lot.values)
        if not self.lots:
            self.values = np.zeros((0, lot.values.shape[1]), self.values.dtype)
        if self.values.dtype == np.float32 and not _exact(lot.values):
            self.values = self.values.astype(np.float64)
        if self.count > len(self.values):
            room = self.count + self.count // 8
            self.values.resize((room, self.values.shape[1]), refcheck=False)  # mostly without a copy
        self.values[start : self.count] = lot.values
        self.lots.append(replace(lot, values=self.values[:0, :0].copy()))

    def whole(self, size: int) -> Column:
        """All rows; `size` is the width where there are none."""
        if not self.lots:
            no = np.zeros(0, bool)
            return Column(np.zeros((0, size)), no, no, no, np.zeros(0, np.int64))
        self.values.resize((self.count, self.values.shape[1]), refcheck=False)
        others = [one.name for one in fields(Column) if one.name != "values"]
        return Column(
            self.values, **{name: np.concatenate([getattr(lot, name) for lot in self.lots]) for name in others}
        )


def _exact(values: NDArray[np.floating]) -> bool:
    """Whether float32 holds these numbers as they are."""
    with np.errstate(over="ignore"):
        return np.array_equal(values.astype(np.float32), values, equal_nan=True)
