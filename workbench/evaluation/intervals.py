"""What a difference between two models is worth: paired intervals over images and seeds, and forecasts.

An interval over images speaks of these checkpoints, one over seeds of the method. Both are computed, and a third over
both at once; the widest decides. Where runs share a trunk, the trunk is the block: its seeds are averaged before
anything is counted.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtr, stdtrit

from workbench.core.errors import Refused
from workbench.tensors import Floats

MOST = 100  # seeds, trunks or times the images beyond which a difference counts as undecidable


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """A mean difference and where it lies with probability `level`.

    Up to three intervals stand behind it, and `low` and `high` are those of the widest: over images (`by_images`: what
    other images would say of these checkpoints), over seeds or trunks (`by_seeds`: what other seeds would say; none
    with a single one), and both at once (`by_both`). Each is mean ± Student's factor x standard error.
    """

    mean: float
    low: float
    high: float
    level: float = 0.95
    differences: tuple[float, ...] = ()  # of each seed or trunk, on all images
    error: float = float("nan")  # standard error of the mean
    freedom: float = float("inf")  # degrees of freedom of that error
    by_images: Interval | None = None
    by_seeds: Interval | None = None
    by_both: Interval | None = None

    @property
    def width(self) -> float:
        return self.high - self.low

    @property
    def parts(self) -> tuple[Interval, ...]:
        """The intervals behind this one, or itself."""
        return tuple(i for i in (self.by_images, self.by_seeds, self.by_both) if i is not None) or (self,)


def t_interval(differences: Sequence[float] | Floats, level: float = 0.95) -> Interval:
    """Student's interval of the mean of at least two independent differences."""
    values = np.asarray(differences, np.float64)
    if len(values) < 2:
        raise Refused(f"{len(values)} difference: an interval over seeds needs two; run more seeds")
    error = float(values.std(ddof=1)) / len(values) ** 0.5
    return interval_around(float(values.mean()), error, len(values) - 1, level, tuple(values.tolist()))


def pvalue(interval: Interval, bound: float = 0.0) -> float:
    """Two-sided p of `the difference is exactly bound`: below 1 - level exactly where the interval leaves it out.

    1 with a single seed: it says nothing of the method.
    """
    if len(interval.differences) < 2 or not np.isfinite(interval.mean):
        return 1.0
    gap = abs(interval.mean - bound)
    return max(2 * float(stdtr(i.freedom, -gap / i.error)) if i.error > 0 else float(gap == 0) for i in interval.parts)


def holm_factors(pvalues: Sequence[float] | Floats) -> NDArray[np.int64]:
    """What Holm multiplies each p-value with: the smallest by the size of the family, the largest by 1."""
    p = np.asarray(pvalues, np.float64)
    factors = np.empty(len(p), np.int64)
    factors[np.argsort(p, kind="stable")] = np.arange(len(p), 0, -1)
    return factors


def holm(pvalues: Sequence[float] | Floats) -> Floats:
    """Holm's adjusted p-values, in the given order: compare each with the level of the whole family."""
    p = np.asarray(pvalues, np.float64)
    order = np.argsort(p, kind="stable")
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(1, np.maximum.accumulate((p * holm_factors(p))[order]))
    return adjusted


def seeds_needed(interval: Interval, bound: float = 0.0, level: float = 0.95, most: int = MOST) -> int | None:
    """The number of seeds (or trunks) at which the interval would leave `bound` out, were mean and spread as seen.

    None: not even `most` of them would do, the images set the limit, or a single seed shows no spread.
    """
    if (spread := _spread(interval)) is None:
        return None
    counts = np.arange(len(interval.differences) + 1, most + 1)
    return _first(counts, spread.half(counts, level) < abs(interval.mean - bound))


def repeats_needed(
    per_block: Mapping[str, Interval],
    overall: Interval,
    bound: float = 0.0,
    level: float = 0.95,
    most: int = MOST,
) -> int | None:
    """The number of seeds on each of the same blocks at which the overall interval would leave `bound` out.

    None: not even `most`: the blocks differ, whatever the seeds. Or one seed per block, which shows no spread.
    """
    spread, seeds = _spread(overall), repeats(per_block)
    if spread is None or seeds < 2:
        return None
    within = float(np.mean([np.var(i.differences, ddof=1) / len(i.differences) for i in per_block.values()]))
    between = max(0.0, spread.seeds - within)
    counts = np.arange(seeds + 1, most + 1)
    more = replace(spread, seeds=between + within * seeds / counts)
    return _first(counts, more.half(len(per_block), level) < abs(overall.mean - bound))


def images_needed(interval: Interval, bound: float = 0.0, level: float = 0.95, most: int = MOST) -> float | None:
    """How many times the images it takes until the interval leaves `bound` out, with these seeds and all else as seen.

    None: not even `most` times, because the seeds set the limit; or a single seed shows no spread.
    """
    if (spread := _spread(interval)) is None:
        return None
    times = np.geomspace(1, most, 200)[1:]
    more = replace(spread, shared=spread.shared / times, own=spread.own / times)  # the seeds differ as they do
    return _first(times, more.half(len(interval.differences), level) < abs(interval.mean - bound))


def _first(values: NDArray[Any], enough: NDArray[np.bool_]) -> Any:
    return values[enough.argmax()].item() if enough.any() else None


def student_factor(count: int, level: float = 0.95) -> float:
    """How many standard errors an interval over so many differences reaches to each side."""
    return float(factor(count - 1, level))


def repeats(per_block: Mapping[str, Interval]) -> int:
    """Seeds on the trunk that has the fewest."""
    return min(len(interval.differences) for interval in per_block.values())


@dataclass(frozen=True, slots=True)
class _Spread:
    """What a mean difference varies by: variances of a single difference and of the images at hand.

    Fields:
        seeds: of one seed's (or block's) difference, on these images.
        shared: that of the images which all seeds share, own: that which each seed has for itself.
    """

    seeds: Any  # these may be arrays: of what would be with so many seeds or images
    shared: Any
    own: Any

    def half(self, count: Any, level: float) -> Any:
        """Half the width of the interval over `count` differences, as `interval_of_draws` makes it."""
        errors = _errors(self.seeds / count, count, self.shared, self.own / count)
        return np.max(np.broadcast_arrays(*(factor(freedom, level) * error for error, freedom in errors)), axis=0)


def _spread(interval: Interval) -> _Spread | None:
    """None where there is none to be seen."""
    count = len(interval.differences)
    if count < 2 or not np.isfinite(interval.mean):
        return None
    images, seeds, both = interval.by_images, interval.by_seeds or interval, interval.by_both or interval
    shared = max(0.0, both.error**2 - seeds.error**2)
    own = max(0.0, images.error**2 - shared) * count if images else 0.0
    return _Spread(seeds.error**2 * count, shared, own)


def _errors(seeds: Any, count: Any, shared: Any, own: Any) -> tuple[tuple[Any, Any], ...]:
    """Standard error and degrees of freedom over images, over seeds and over both, from variances of the mean.

    The images know their error from a thousand draws, the seeds theirs from two or three: Student's factor belongs to
    the seeds' part alone, and the degrees of freedom of the sum are Welch's and Satterthwaite's (1946). With two or
    three seeds the sum alone covers too seldom, since their spread may look small by chance; the widest does not.
    """
    both = seeds + shared
    with np.errstate(divide="ignore", invalid="ignore"):  # where there is no error, any freedom will do
        freedom = np.fmax(count - 1, (count - 1) * np.square(np.divide(both, seeds)))
    return ((shared + own) ** 0.5, np.inf), (seeds**0.5, count - 1), (both**0.5, freedom)


def interval_of_draws(observed: Floats, drawn: Floats, level: float) -> Interval:
    """From the differences (n,) and their draws (R, n), in which all seeds see the same images.

    The variance over draws of the mean is the part that the seeds share and a part of each one's own divided by n; the
    variance of a single difference is the sum of both. The seeds' spread holds their own part already, so only the
    shared one is added to it. Drawing two or three seeds with replacement in place of this covers too seldom
    (`benchmarks/coverage.py`).
    """
    n, mean = len(observed), float(observed.mean())
    drawn = drawn[np.isfinite(drawn).all(1)]
    if len(drawn) < 2 or not np.isfinite(mean):
        return Interval(mean=mean, low=np.nan, high=np.nan, level=level, differences=tuple(observed.tolist()))
    whole, single = float(drawn.mean(1).var(ddof=1)), float(drawn.var(0, ddof=1).mean())
    if n < 2:
        images = interval_around(mean, whole**0.5, np.inf, level)
        return replace(images, differences=tuple(observed.tolist()), by_images=images)
    shared = max(0.0, (n * whole - single) / (n - 1))
    errors = _errors(float(observed.var(ddof=1)) / n, n, shared, max(0.0, whole - shared))
    images, seeds, both = (interval_around(mean, float(error), float(freedom), level) for error, freedom in errors)
    widest = max(images, seeds, both, key=lambda interval: interval.width)
    return replace(widest, differences=tuple(observed.tolist()), by_images=images, by_seeds=seeds, by_both=both)


def interval_around(
    mean: float, error: float, freedom: float, level: float, differences: tuple[float, ...] = ()
) -> Interval:
    half = float(factor(freedom, level)) * error
    return Interval(
        mean=mean, low=mean - half, high=mean + half, level=level, differences=differences, error=error, freedom=freedom
    )


def factor(freedom: Any, level: float) -> Any:
    """Student's: how many standard errors to each side hold the mean with probability `level`."""
    return stdtrit(np.asarray(freedom, np.float64), (1 + level) / 2)
