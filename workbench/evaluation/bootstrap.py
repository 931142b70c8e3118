"""Metrics on resampled images, from match records: the basis of every interval over images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from workbench.core.errors import Refused
from workbench.evaluation.coco_ap import THRESHOLDS
from workbench.evaluation.intervals import Floats, Interval, interval_of_draws
from workbench.evaluation.records import MatchRecords

Metric = Literal["AP", "AP50", "AP75", "mOKS", "NME"]

_THRESHOLDS = {"AP": tuple(range(len(THRESHOLDS))), "AP50": (THRESHOLDS.index(0.5),), "AP75": (THRESHOLDS.index(0.75),)}
_RECALLS: Floats = np.linspace(0, 1, 101)
_CELLS = 200_000  # resamples x detections at a time: stays in the processor's cache


def ap_from_records(records: MatchRecords, weights: NDArray[Any] | None = None, metric: Metric = "AP") -> float:
    """AP (0..1) from match records, equal to pycocotools; -1 where no person counts.

    Args:
        records: of one model on one set of images.
        weights: (I,) how often each image counts; a weight of 2 is the image twice. None is once each.
        metric: AP, AP50 or AP75; mOKS and NME work as well.
    """
    ones = np.ones(len(records.image_ids), np.int64)
    return float(resampled_metric(records, (ones if weights is None else weights)[None], metric)[0])


def resampled_metric(records: MatchRecords, weights: NDArray[Any], metric: Metric = "AP") -> Floats:
    """The metric of every resample: (R,) from `weights` (R, I), whole numbers. AP: -1, others: nan if undefined.

    Equal to pycocotools on data in which an image stands as often as its weight says. Equal scores count in the order
    of the images, as there; only detections of one image with equal scores could stand otherwise.
    """
    if weights.ndim != 2 or weights.shape[1] != len(records.image_ids):
        raise Refused(f"weights of shape {weights.shape}: expected (resamples, {len(records.image_ids)} images)")
    if metric == "mOKS":
        return _ratio(weights, records.oks_sum, records.oks_count)
    if metric == "NME":
        return _ratio(weights, records.error_sum, records.error_count)
    if metric not in _THRESHOLDS:
        raise Refused(f"metric {metric!r}: match records give {[*_THRESHOLDS, 'mOKS', 'NME']}")
    parts = [_class_ap(records, weights, c, _THRESHOLDS[metric]) for c in range(len(records.positives))]
    by_class = np.stack(parts) if parts else np.full((1, len(weights)), -1.0)  # (C, R)
    known = by_class > -1
    total = np.where(known, by_class, 0).sum(0)
    return np.where(known.any(0), total / np.maximum(known.sum(0), 1), -1.0)


def image_weights(images: int, resamples: int, seed: int) -> NDArray[np.int64]:
    """(R, I): how often each image is drawn when as many are drawn with replacement, by resample."""
    if not images:
        return np.zeros((resamples, 0), np.int64)
    drawn = np.random.default_rng(seed).integers(images, size=(resamples, images))
    drawn += np.arange(resamples)[:, None] * images
    return np.bincount(drawn.ravel(), minlength=resamples * images).reshape(resamples, images)


@dataclass(frozen=True, slots=True, kw_only=True)
class Resampled:
    """A metric of one model on its images and on resamples of them; nan where it is undefined."""

    image_ids: NDArray[np.int64]  # (I,)
    observed: float
    drawn: Floats  # (R,)


def resample(records: MatchRecords, metric: Metric = "AP", resamples: int = 2_000, seed: int = 0) -> Resampled:
    """The metric of `records` on the images as they are and on `resamples` draws of as many with replacement.

    Equal numbers and seeds of draws over as many images are the same draws: what makes differences paired.
    """
    images = len(records.image_ids)
    weights = np.concatenate([np.ones((1, images), np.int64), image_weights(images, resamples, seed)])
    values = resampled_metric(records, weights, metric)
    values = np.where(values == -1, np.nan, values) if metric in _THRESHOLDS else values
    return Resampled(image_ids=records.image_ids, observed=float(values[0]), drawn=values[1:])


def paired_bootstrap(a: Sequence[Resampled], b: Sequence[Resampled], level: float = 0.95) -> Interval:
    """The difference b - a, pair by pair, over images and seeds.

    Args:
        a, b: one model per seed (or trunk), in the same order; every one on the same images and draws.
        level: of the interval.

    Raises:
        Refused: unpaired input, or models that saw different images.
    """
    return interval_of_draws(*_differences(a, b), level)


def blocked_bootstrap(
    a: Sequence[Resampled], b: Sequence[Resampled], blocks: Sequence[str], level: float = 0.95
) -> tuple[dict[str, Interval], Interval]:
    """The difference b - a in every block (trunk) over its seeds, and overall over blocks.

    Overall, the seeds of a block are averaged first: they share the trunk and are no independent evidence.

    Args:
        blocks: the trunk of each pair; the other arguments as `paired_bootstrap`.
    """
    if len(blocks) != len(a):
        raise Refused(f"{len(blocks)} block names for {len(a)} pairs: give one per pair")
    observed, drawn = _differences(a, b)
    members = {name: [i for i, other in enumerate(blocks) if other == name] for name in dict.fromkeys(blocks)}
    per_block = {name: interval_of_draws(observed[i], drawn[:, i], level) for name, i in members.items()}
    means = np.asarray([observed[i].mean() for i in members.values()])
    drawn_means = np.stack([drawn[:, i].mean(1) for i in members.values()], axis=1)
    return per_block, interval_of_draws(means, drawn_means, level)


def _ratio(weights: NDArray[Any], total: Floats, count: NDArray[Any]) -> Floats:
    amount = weights @ count
    return np.where(amount > 0, (weights @ total) / np.maximum(amount, 1), np.nan)


def _class_ap(records: MatchRecords, weights: NDArray[Any], category: int, thresholds: tuple[int, ...]) -> Floats:
    """(R,): AP of one class over the thresholds; -1 where no person of it counts."""
    mine = np.flatnonzero(records.category == category)
    # pycocotools joins the images in order and sorts stably: equal scores stay in the order of the images.
    mine = mine[np.argsort(-records.scores[mine], kind="mergesort")]
    image, used = records.image[mine], ~records.ignored[mine]  # (D,), (D, T)
    right = records.matched[mine] & used
    persons = weights @ records.positives[category].astype(np.int64)  # (R,)
    step = max(1, _CELLS // max(1, len(mine)))
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
    thresholds: tuple[int, ...],
) -> Floats:
    """(R,) mean of the interpolated precision over thresholds and 101 recalls, from detections by descending score.

    Only right detections are looked at: there recall rises, and there precision is highest. A detection of weight w
    stands for w in a row; the last of them has the row's highest precision, so the row never has to be written out.
    """
    needed = _persons_needed(np.maximum(persons, 1))  # (R, 101)
    precision = np.zeros((len(weights), len(thresholds), len(_RECALLS)))
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
    needed = np.ceil(_RECALLS * total).astype(np.int64)
    needed -= (needed - 1) / total >= _RECALLS
    needed += needed / total < _RECALLS
    return needed


def _first_reaching(counts: NDArray[np.int64], needed: NDArray[np.int64]) -> NDArray[np.int64]:
    """Per row, the first index of the ascending `counts` (R, H) that is at least each of `needed` (R, N)."""
    rows = np.arange(len(counts))[:, None]
    apart = max(int(counts.max(initial=0)), int(needed.max(initial=0))) + 1
    found = np.searchsorted((counts + rows * apart).ravel(), (needed + rows * apart).ravel())
    return found.reshape(needed.shape) - rows * counts.shape[1]


def _differences(a: Sequence[Resampled], b: Sequence[Resampled]) -> tuple[Floats, Floats]:
    """b - a of every pair: (n,) on all images, (R, n) on resampled ones; nan where the metric is undefined."""
    if not a or len(a) != len(b):
        raise Refused(f"{len(a)} and {len(b)} records: a paired comparison needs as many of both, at least one")
    ids = a[0].image_ids
    for model in (*a, *b):
        if not np.array_equal(model.image_ids, ids):
            raise Refused("the records are of different images: evaluate both on the same set")
    observed = np.asarray([y.observed - x.observed for x, y in zip(a, b, strict=True)])
    return observed, np.stack([y.drawn - x.drawn for x, y in zip(a, b, strict=True)], axis=1)
