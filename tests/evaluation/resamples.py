"""Records and intervals that tests make up, and a paired comparison in one call."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from scipy import stats as scipy_stats

from workbench.evaluation.bootstrap import paired_bootstrap, resample
from workbench.evaluation.intervals import Interval
from workbench.evaluation.records import MatchRecords


def ttest(values: Any) -> Any:
    return scipy_stats.ttest_1samp(values, 0)


def compared(
    a: list[MatchRecords], b: list[MatchRecords], resamples: int = 2_000, seed: int = 0, metric: str = "AP"
) -> Interval:
    """b - a over images and seeds."""
    drawn_a, drawn_b = ([resample(r, metric, resamples, seed) for r in side] for side in (a, b))
    return paired_bootstrap(drawn_a, drawn_b)


def synthetic(rng: np.random.Generator, images: int, per_image: int) -> MatchRecords:
    found = images * per_image
    quality = rng.random(found)
    return MatchRecords(
        image_ids=np.arange(images),
        image=np.repeat(np.arange(images, dtype=np.int32), per_image),
        category=np.zeros(found, np.int16),
        scores=rng.random(found),
        matched=quality[:, None] > np.linspace(0.5, 0.95, 10),
        ignored=(rng.random(found) < 0.05)[:, None] & (quality[:, None] < np.linspace(0.5, 0.95, 10)),
        positives=np.full((1, images), per_image, np.int32),
        oks_sum=np.zeros(images),
        oks_count=np.zeros(images, np.int32),
        error_sum=np.zeros(images),
        error_count=np.zeros(images, np.int32),
    )


def averages(values: np.ndarray) -> MatchRecords:
    """Records whose mOKS is the mean of `values`, one per image."""
    images = len(values)
    base = synthetic(np.random.default_rng(0), images, 0)
    return replace(base, oks_sum=values.astype(float), oks_count=np.ones(images, np.int32))


def gap(mean: float, half: float, *each: float) -> Interval:
    return Interval(mean=mean, low=mean - half, high=mean + half, differences=each, freedom=max(1, len(each) - 1))
