"""Metrics on resampled images, from match records: the basis of every interval over images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from workbench.core.errors import Refused
from workbench.evaluation.intervals import Interval, interval_of_draws
from workbench.evaluation.metrics import METRICS, UNDEFINED
from workbench.evaluation.moderation import StudySpread
from workbench.evaluation.records import MatchRecords
from workbench.tensors import Floats


def resampled_metric(records: MatchRecords, weights: NDArray[Any], metric: str = "AP") -> Floats:
    """The metric of every resample: (R,) from `weights` (R, I), whole numbers. AP: -1, others: nan if undefined.

    Equal to the evaluation of data in which an image stands as often as its weight says.

    Raises:
        Refused: weights of another number of images, or a metric that match records do not give.
    """
    if weights.ndim != 2 or weights.shape[1] != len(records.image_ids):
        raise Refused(f"weights of shape {weights.shape}: expected (resamples, {len(records.image_ids)} images)")
    drawn = {name: one.resample for name, one in METRICS.items() if one.resample is not None}
    if metric not in drawn:
        raise Refused(f"metric {metric!r}: match records give {list(drawn)}")
    return drawn[metric](records, weights)


def metric_from_records(records: MatchRecords, weights: NDArray[Any] | None = None, metric: str = "AP") -> float:
    """As `resampled_metric` of a single resample: (I,) how often each image counts; None is once each."""
    ones = np.ones(len(records.image_ids), np.int64)
    return float(resampled_metric(records, (ones if weights is None else weights)[None], metric)[0])


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


def resample(records: MatchRecords, metric: str = "AP", resamples: int = 2_000, seed: int = 0) -> Resampled:
    """The metric of `records` on the images as they are and on `resamples` draws of as many with replacement.

    Equal numbers and seeds of draws over as many images are the same draws: what makes differences paired.
    """
    images = len(records.image_ids)
    weights = np.concatenate([np.ones((1, images), np.int64), image_weights(images, resamples, seed)])
    values = resampled_metric(records, weights, metric)
    values = np.where(values == UNDEFINED, np.nan, values)
    return Resampled(image_ids=records.image_ids, observed=float(values[0]), drawn=values[1:])


def summed(runs: Sequence[Resampled]) -> Resampled:
    """The sum of at least one model's numbers, on the same images and draws: a side of a difference of differences.

    Raises:
        Refused: models that saw different images.
    """
    ids = _same_images(runs)
    observed = sum(run.observed for run in runs)
    return Resampled(image_ids=ids, observed=observed, drawn=np.sum([run.drawn for run in runs], axis=0))


def paired_bootstrap(
    a: Sequence[Resampled], b: Sequence[Resampled], level: float = 0.95, study: StudySpread | None = None
) -> Interval:
    """The difference b - a, pair by pair, over images and seeds.

    Args:
        a, b: one model per seed (or trunk), in the same order; every one on the same images and draws.
        level: of the interval.
        study: what such a difference varies by in the whole study; None leaves the pairs to themselves.

    Raises:
        Refused: unpaired input, or models that saw different images.
    """
    return interval_of_draws(*_differences(a, b), level, study)


def blocked_bootstrap(
    a: Sequence[Resampled],
    b: Sequence[Resampled],
    blocks: Sequence[str],
    level: float = 0.95,
    study: StudySpread | None = None,
) -> tuple[dict[str, Interval], Interval]:
    """The difference b - a in every block (trunk) over its seeds, and overall over blocks.

    Overall, the seeds of a block are averaged first: they share the trunk and are no independent evidence.

    Args:
        blocks: the trunk of each pair.
        study: as `paired_bootstrap`, of runs averaged over the seeds of a trunk; the other arguments are the same.
    """
    if len(blocks) != len(a):
        raise Refused(f"{len(blocks)} block names for {len(a)} pairs: give one per pair")
    observed, drawn = _differences(a, b)
    members = {name: [i for i, other in enumerate(blocks) if other == name] for name in dict.fromkeys(blocks)}
    per_block = {name: interval_of_draws(observed[i], drawn[:, i], level) for name, i in members.items()}
    means = np.asarray([observed[i].mean() for i in members.values()])
    drawn_means = np.stack([drawn[:, i].mean(1) for i in members.values()], axis=1)
    return per_block, interval_of_draws(means, drawn_means, level, study)


def _differences(a: Sequence[Resampled], b: Sequence[Resampled]) -> tuple[Floats, Floats]:
    """b - a of every pair: (n,) on all images, (R, n) on resampled ones; nan where the metric is undefined."""
    if not a or len(a) != len(b):
        raise Refused(f"{len(a)} and {len(b)} records: a paired comparison needs as many of both, at least one")
    _same_images((*a, *b))
    observed = np.asarray([y.observed - x.observed for x, y in zip(a, b, strict=True)])
    return observed, np.stack([y.drawn - x.drawn for x, y in zip(a, b, strict=True)], axis=1)


def _same_images(models: Sequence[Resampled]) -> NDArray[np.int64]:
    ids = models[0].image_ids
    if not all(np.array_equal(model.image_ids, ids) for model in models):
        raise Refused("the records are of different images: evaluate both on the same set")
    return ids
