"""Average precision from match records, for many resamples of the images at once.

A resample is given as weights: how often each image counts. So thousands of them cost one sort of the detections and a
few sums, and every value equals that of pycocotools on data in which the images stand as often.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from workbench.evaluation.records import MatchRecords
from workbench.tensors import Floats

RECALLS: Floats = np.linspace(0, 1, 101)  # at which COCO reads the precision
CELLS = 200_000  # resamples x detections at a time: stays in the processor's cache


def resampled_ap(records: MatchRecords, weights: NDArray[Any], thresholds: Sequence[int]) -> Floats:
    """(R,): AP (0..1) of each resample, the mean over classes and thresholds; -1 where no person counts.

    Equal scores count in the order of the images, as in pycocotools; only detections of one image with equal scores
    may stand otherwise.

    Args:
        weights: (R, I) whole numbers.
        thresholds: columns of the records' T OKS thresholds.
    """
    parts = [_class_ap(records, weights, c, thresholds) for c in range(len(records.positives))]
    by_class = np.stack(parts) if parts else np.full((1, len(weights)), -1.0)  # (C, R)
    known = by_class > -1
    total = np.where(known, by_class, 0).sum(0)
    return np.where(known.any(0), total / np.maximum(known.sum(0), 1), -1.0)


def _class_ap(records: MatchRecords, weights: NDArray[Any], category: int, thresholds: Sequence[int]) -> Floats:
    """(R,): AP of one class over the thresholds; -1 where no person of it counts."""
    mine = np.flatnonzero(records.category == category)
    # pycocotools joins the images in order and sorts stably: equal scores stay in the order of the images.
    mine = mine[np.argsort(-records.scores[mine], kind="mergesort")]
    image, used = records.image[mine], ~records.ignored[mine]  # (D,), (D, T)
    right = records.matched[mine] & used
    persons = weights @ records.positives[category].astype(np.int64)  # (R,)
    step = max(1, CELLS // max(1, len(mine)))
    out = np.empty(len(weights))
    for start in range(0, len(weights), step):
        part = slice(start, start + step)
        out[part] = _mean_precision(weights[part][:, image], persons[part], right, used, thresholds)
    return np.where(persons > 0, out, -1.0)


def _mean_precision(
    weights: NDArray[Any],
    persons: NDArray[np.int64],
    right: NDArray[np.bool_],
    used: NDArray[np.bool_],
    thresholds: Sequence[int],
) -> Floats:
    """(R,) mean of the interpolated precision over thresholds and 101 recalls, from detections by descending score.

    Only right detections are looked at: there recall rises, and there precision is highest. A detection of weight w
    stands for w in a row; the last of them has the row's highest precision, so the row never has to be written out.
    """
    needed = _persons_needed(np.maximum(persons, 1))  # (R, 101)
    precision = np.zeros((len(weights), len(thresholds), len(RECALLS)))
    seen = np.empty((0, 0))
    previous: NDArray[np.bool_] | None = None
    for k, t in enumerate(thresholds):
        hits = np.flatnonzero(right[:, t])
        if not len(hits):
            continue
        if previous is None or not np.array_equal(previous, used[:, t]):
            seen = np.cumsum(weights * used[:, t], axis=1)
            previous = used[:, t]
        true = np.cumsum(weights[:, hits], axis=1)  # (R, H)
        rate = true / (seen[:, hits] + np.spacing(1))
        envelope = np.maximum.accumulate(rate[:, ::-1], axis=1)[:, ::-1]
        first = _first_reaching(true, needed)  # (R, 101), H where recall stays below
        value = np.take_along_axis(envelope, np.minimum(first, len(hits) - 1), axis=1)
        precision[:, k] = np.where(first < len(hits), value, 0)
    return precision.reshape(len(weights), -1).mean(1)


def _persons_needed(persons: NDArray[np.int64]) -> NDArray[np.int64]:
    """(R, 101): the smallest number n with n / persons >= recall, in the floating-point sense of that comparison."""
    total = persons[:, None]
    needed = np.ceil(RECALLS * total).astype(np.int64)
    needed -= (needed - 1) / total >= RECALLS
    needed += needed / total < RECALLS
    return needed


def _first_reaching(counts: NDArray[np.int64], needed: NDArray[np.int64]) -> NDArray[np.int64]:
    """Per row, the first index of the ascending `counts` (R, H) that is at least each of `needed` (R, N)."""
    rows = np.arange(len(counts))[:, None]
    apart = max(int(counts.max(initial=0)), int(needed.max(initial=0))) + 1
    found = np.searchsorted((counts + rows * apart).ravel(), (needed + rows * apart).ravel())
    return found.reshape(needed.shape) - rows * counts.shape[1]
