"""Which detection counts for which person: the matching of the COCO key-point task, many images at once.

OKS and matches are bit for bit those of pycocotools (`computeOks` and `evaluateImg` of COCOeval), which looks at one
pair, one threshold and one size of persons at a time. Two things make the same possible for whole arrays. Pairs are
grouped by the person's number of labelled key points, so that every sum runs over as many terms in the same order. And
only pairs whose OKS reaches the lowest threshold take part in the matching: a handful of detections and persons per
image.

Legend: P persons, D detections, K key points, A size ranges, T thresholds. A group is the persons or the detections of
one class in one image.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from workbench.evaluation.records import OKS_THRESHOLDS
from workbench.tensors import Flags, Floats, Ints

PersonSize = Literal["all", "medium", "large"]
PERSON_SIZES: tuple[PersonSize, ...] = get_args(PersonSize)  # the size ranges of persons, by name
MAX_DETECTIONS = 20  # of a group that count
# lowest and highest area of each
AREA_RANGES: Floats = np.asarray([(0, 1e5**2), (32**2, 96**2), (96**2, 1e5**2)], np.float64)


@dataclass(frozen=True, slots=True, kw_only=True)
class GroundTruth:
    """The persons of all images, group by group; within a group in the order of the ground truth."""

    first: Ints  # (groups + 1,): the persons of group g are first[g] to first[g + 1]
    keypoints: Floats  # (P, K, 2)
    labelled: Ints  # (P,) how many key points are labelled
    columns: Ints  # (P, K) which: these first, then the others
    boxes: Floats  # (P, 4): x, y, width, height
    areas: Floats  # (P,)
    crowd: Flags  # (P,) any number of detections may match it
    ignored: Flags  # (P, A): a detection that matches it is neither right nor wrong in that size range


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoredDetections:
    """Detections of some images: whole groups, in each at most `MAX_DETECTIONS` by descending score."""

    group: Ints  # (D,)
    scores: Floats  # (D,)
    keypoints: Floats  # (D, K, 2)
    areas: Floats  # (D,)


@dataclass(frozen=True, slots=True, kw_only=True)
class Matches:
    """What became of D detections, and how near they came to the persons."""

    group: Ints  # (D,)
    scores: Floats  # (D,)
    matched: Flags  # (D, A, T)
    ignored: Flags  # (D, A, T): neither right nor wrong
    error: Floats  # (D,) of matches at the first threshold: sum of key-point distances / root of the person's area
    points: Ints  # (D,) labelled key points in that sum
    persons: Ints  # (Q,) persons in whose group something was found
    best: Floats  # (Q,) the largest OKS with any of it


def match(found: ScoredDetections, persons: GroundTruth, sigmas: Floats) -> Matches:
    """Gives every detection, best score first, the free person with which its OKS is highest.

    Args:
        found: D detections; persons: all P persons; sigmas: (K,) OKS constants.
    """
    detection, person = _pairs(found.group, persons.first)
    oks = _oks(found, detection, persons, person, sigmas)
    chosen = _assign(found, detection, persons, person, oks)  # (D, A, T)
    matched, ignored = chosen >= 0, outside(found.areas)[:, :, None].repeat(len(OKS_THRESHOLDS), 2)
    ignored[matched] = persons.ignored[chosen[matched], np.nonzero(matched)[1]]
    error, points = _errors(found, persons, np.where(ignored, -1, chosen)[:, 0, 0])
    near, at = np.unique(person, return_inverse=True)
    best = np.zeros(len(near))
    np.maximum.at(best, at, oks)
    return Matches(
        group=found.group,
        scores=found.scores,
        matched=matched,
        ignored=ignored,
        error=error,
        points=points,
        persons=near,
        best=best,
    )


def joined(parts: list[Matches], classes: int) -> Matches:
    """Matches of several lots of images as one, ordered by class, then image; groups are `image * classes + class`."""
    whole = {f.name: np.concatenate([getattr(part, f.name) for part in parts]) for f in fields(Matches)}
    order = np.lexsort((whole["group"], whole["group"] % classes))
    return Matches(**{name: v if name in ("persons", "best") else v[order] for name, v in whole.items()})


def outside(areas: Floats) -> Flags:
    """(N, A): which of N areas lie outside each size range."""
    return (areas[:, None] < AREA_RANGES[:, 0]) | (areas[:, None] > AREA_RANGES[:, 1])


def _pairs(group: Ints, first: Ints) -> tuple[Ints, Ints]:
    """Every detection with every person of its group: indices of both."""
    persons = first[group + 1] - first[group]  # (D,)
    detection = np.repeat(np.arange(len(group)), persons)
    return detection, _ragged_arange(persons) + np.repeat(first[group], persons)


def _ragged_arange(lengths: Ints) -> Ints:
    """arange(n) for each n of the lengths, concatenated."""
    return np.arange(lengths.sum()) - np.repeat(np.cumsum(lengths) - lengths, lengths)


def _apart(
    found: ScoredDetections, detection: Ints, persons: GroundTruth, person: Ints
) -> Iterator[tuple[Ints, NDArray[np.intp] | slice, Floats]]:
    """How far the key points of pairs lie apart: indices of pairs, their N labelled key points, (pairs, N, 2) offsets.

    A person without any labelled key point stands for its box made three times as large: all K offsets to that.
    """
    labelled = persons.labelled[person]
    for count in np.unique(labelled):
        rows = np.flatnonzero(labelled == count)
        d, p = detection[rows], person[rows]
        if count:
            columns = persons.columns[p, :count]  # (pairs, N)
            offsets = found.keypoints[d[:, None], columns] - persons.keypoints[p[:, None], columns]
        else:
            columns = slice(None)
            corner, size = persons.boxes[p, None, :2], persons.boxes[p, None, 2:]
            before = np.maximum(0, corner - size - found.keypoints[d])
            offsets = before + np.maximum(0, found.keypoints[d] - (corner + size * 2))
        yield rows, columns, offsets


def _oks(found: ScoredDetections, detection: Ints, persons: GroundTruth, person: Ints, sigmas: Floats) -> Floats:
    """Of each pair."""
    variances, oks = (sigmas * 2) ** 2, np.empty(len(person))
    for rows, columns, offsets in _apart(found, detection, persons, person):
        areas = persons.areas[person[rows], None] + np.spacing(1)
        exponents = (offsets[..., 0] ** 2 + offsets[..., 1] ** 2) / variances[columns] / areas / 2
        oks[rows] = np.exp(-exponents).sum(1) / exponents.shape[1]
    return oks


def _errors(found: ScoredDetections, persons: GroundTruth, chosen: Ints) -> tuple[Floats, Ints]:
    """Of each detection and its person, -1 for none: see `Matches`."""
    error, points = np.zeros(len(chosen)), np.zeros(len(chosen), np.int64)
    detection = np.flatnonzero(chosen >= 0)
    person = chosen[detection]
    for rows, columns, offsets in _apart(found, detection, persons, person):
        if isinstance(columns, slice):
            continue  # nothing to measure
        areas = np.maximum(persons.areas[person[rows]], np.finfo(float).eps)
        error[detection[rows]] = np.hypot(offsets[..., 0], offsets[..., 1]).sum(1) / areas**0.5
        points[detection[rows]] = offsets.shape[1]
    return error, points


def _assign(found: ScoredDetections, detection: Ints, persons: GroundTruth, person: Ints, oks: Floats) -> Ints:
    """(D, A, T): the person that each detection matches in each size range and at each threshold, or -1.

    A person that counts comes before one that is ignored, a higher OKS before a lower, the later of two equal ones
    before the earlier. A crowd stays free. The tables hold S groups with at most D' detections and G persons.
    """
    chosen = np.full((len(found.group), len(AREA_RANGES), len(OKS_THRESHOLDS)), -1)
    near = oks >= OKS_THRESHOLDS[0]
    detection, person, oks = detection[near], person[near], oks[near]
    if not len(oks):
        return chosen
    group = np.unique(found.group[detection], return_inverse=True)[1]  # row of the tables
    detections, turn_of = _table(detection, group)
    people, column_of = _table(person, group)
    people = people[:, ::-1]  # the later person first: argmax takes the first of equal ones
    values = np.full((*detections.shape, people.shape[1]), -1.0)
    values[group, turn_of, people.shape[1] - 1 - column_of] = oks
    crowd = persons.crowd[people][:, None, None]  # (S, 1, 1, G); what fills the table up has no OKS
    ignored = persons.ignored[people].swapaxes(1, 2)[:, :, None]  # (S, A, 1, G)
    taken = np.zeros((len(people), len(AREA_RANGES), len(OKS_THRESHOLDS), people.shape[1]), bool)
    columns = np.arange(people.shape[1])
    for turn in range(detections.shape[1]):
        value = values[:, turn, None, None]  # (S, 1, 1, G)
        free = (value >= OKS_THRESHOLDS[:, None]) & (crowd | ~taken)  # (S, A, T, G)
        counting = free & ~ignored
        open_ = np.where(counting.any(-1, keepdims=True), counting, free)
        pick = np.where(open_, value, -1.0).argmax(-1)  # (S, A, T)
        hit = np.logical_or.reduce(open_, axis=-1)
        taken |= hit[..., None] & (columns == pick[..., None])
        row, size, level = np.nonzero(hit)
        chosen[detections[row, turn], size, level] = people[row, pick[hit]]
    return chosen


def _table(items: Ints, row: Ints) -> tuple[Ints, Ints]:
    """The different items of each row side by side.

    Args:
        items: (N,) indices that ascend from row to row and may repeat; row: (N,) of each.

    Returns:
        (S, most) the table, filled up with 0; (N,) the column of each item.
    """
    different, index, at = np.unique(items, return_index=True, return_inverse=True)
    lengths = np.bincount(row[index])
    column = _ragged_arange(lengths)
    table = np.zeros((len(lengths), lengths.max()), np.int64)
    table[row[index], column] = different
    return table, column[at]
