"""What a difference between two models is worth: paired intervals over images and seeds, and forecasts.

An interval over images speaks of these checkpoints, one over seeds of the method. Both are computed, and a third over
both at once; the widest decides. Where runs share a trunk, the trunk is the block: its seeds are averaged before
anything is counted. What the seeds vary by is the claim's own spread, moderated by that of its study (`moderation`).

Forecasts take mean and spread for what was seen, and ask for `CHANCE` to decide: what just reaches would be a coin
flip.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from workbench.core.errors import Refused
from workbench.evaluation.moderation import StudySpread, moderated
from workbench.tensors import Floats

CHANCE = 0.8  # with which what is forecast decides
MANY = 1e4  # degrees of freedom from which Student is normal
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


def t_interval(
    differences: Sequence[float] | Floats, level: float = 0.95, study: StudySpread | None = None
) -> Interval:
    """The interval of the mean of at least two independent differences: Student's where no `study` moderates it."""
    values = np.asarray(differences, np.float64)
    if len(values) < 2:
        raise Refused(f"{len(values)} difference: an interval over seeds needs two; run more seeds")
    variance, freedom = moderated(float(values.var(ddof=1)), len(values), study)
    error = (float(variance) / len(values)) ** 0.5
    return interval_around(float(values.mean()), error, float(freedom), level, tuple(values.tolist()))


def pvalue(interval: Interval, bound: float = 0.0) -> float:
    """Two-sided p of `the difference is exactly bound`: below 1 - level exactly where the interval leaves it out.

    1 with a single seed: it says nothing of the method.
    """
    if len(interval.differences) < 2 or not np.isfinite(interval.mean):
        return 1.0
    gap = abs(interval.mean - bound)
    return float(max(p_of(gap, i.error, i.freedom) for i in interval.parts))


def p_of(gap: Any, error: Any, freedom: Any) -> Any:
    """Two-sided p of a mean that lies `gap` (0 or more) from where it is claimed not to be; arrays are taken."""
    from scipy.special import stdtr  # half a second, and not every command judges

    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(np.asarray(error) > 0, 2 * stdtr(freedom, -np.divide(gap, error)), np.equal(gap, 0))


def hochberg(pvalues: Sequence[float] | Floats) -> Floats:
    """Hochberg's adjusted p-values (1988), in the given order: where the largest is below the level, all are.

    It asks that the claims do not work against each other, which claims of one row over several others do not.
    """
    p = np.asarray(pvalues, np.float64)
    order = np.argsort(-p, kind="stable")
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum.accumulate(p[order] * np.arange(1, len(p) + 1))
    return adjusted


def holm(pvalues: Sequence[float] | Floats, places: Sequence[str] = (), statements: Collection[str] = ()) -> Floats:
    """Holm's adjusted p-values, in the given order: compare each with the level of the whole family.

    Args:
        places: of each; () is one place each. Claims of the same one are bounds of one number: its interval leaves none
            out wrongly unless it misses the number, so they need no correction among themselves.
        statements: places whose claims are parts of a statement instead, which needs all of them. Within these
            Hochberg's correction counts: none, if all parts pass.
    """
    p = np.asarray(pvalues, np.float64)
    names = list(places) or [str(i) for i in range(len(p))]
    members = {place: [i for i, name in enumerate(names) if name == place] for place in names}
    order = sorted(members, key=lambda place: p[members[place]].max())  # a place is done with when its largest p is
    adjusted, before = np.empty_like(p), 0.0
    for left, place in zip(range(len(members), 0, -1), order, strict=True):
        mine = members[place]
        within = hochberg(p[mine]) if place in statements else p[mine]
        # a part needs either the step that its place has reached, or the share that every place has from the start
        adjusted[mine] = np.minimum(np.maximum(left * within, before), len(members) * within)
        before = max(before, left * p[mine].max())
    return np.minimum(1, adjusted)


def seeds_needed(interval: Interval, bound: float = 0.0, level: float = 0.95, most: int = MOST) -> int | None:
    """The number of seeds (or trunks) with which the interval leaves `bound` out with probability `CHANCE`.

    None: not even `most` of them would do, the images set the limit, or a single seed shows no spread.
    """
    if (spread := _spread(interval)) is None:
        return None
    counts = np.arange(len(interval.differences) + 1, most + 1)
    return _first(counts, spread.chance(abs(interval.mean - bound), counts, level) >= CHANCE)


def repeats_needed(
    per_block: Mapping[str, Interval],
    overall: Interval,
    bound: float = 0.0,
    level: float = 0.95,
    most: int = MOST,
) -> int | None:
    """The number of seeds on each of the same blocks with which the overall interval leaves `bound` out, as above.

    None: not even `most`: the blocks differ, whatever the seeds. Or one seed per block, which shows no spread.
    """
    spread, seeds = _spread(overall), repeats(per_block)
    if spread is None or seeds < 2:
        return None
    within = float(np.mean([np.var(i.differences, ddof=1) / len(i.differences) for i in per_block.values()]))
    between = max(0.0, spread.seeds - within)
    counts = np.arange(seeds + 1, most + 1)
    more = replace(spread, seeds=between + within * seeds / counts)
    return _first(counts, more.chance(abs(overall.mean - bound), len(per_block), level) >= CHANCE)


def images_needed(interval: Interval, bound: float = 0.0, level: float = 0.95, most: int = MOST) -> float | None:
    """How many times the images it takes until the interval leaves `bound` out, with these seeds, as above.

    None: not even `most` times, because the seeds set the limit; or a single seed shows no spread.
    """
    if (spread := _spread(interval)) is None:
        return None
    times = np.geomspace(1, most, 200)[1:]
    more = replace(spread, shared=spread.shared / times, own=spread.own / times)  # the seeds differ as they do
    return _first(times, more.chance(abs(interval.mean - bound), len(interval.differences), level) >= CHANCE)


def _first(values: NDArray[Any], enough: NDArray[np.bool_]) -> Any:
    return values[enough.argmax()].item() if enough.any() else None


def repeats(per_block: Mapping[str, Interval]) -> int:
    """Seeds on the trunk that has the fewest."""
    return min(len(interval.differences) for interval in per_block.values())


@dataclass(frozen=True, slots=True)
class _Spread:
    """What a mean difference varies by: variances of a single difference and of the images at hand.

    Fields:
        seeds: of one seed's (or block's) difference, on these images.
        shared: that of the images which all seeds share, own: that which each seed has for itself.
        lent: degrees of freedom of the first beyond those of the differences themselves, from the study.
    """

    seeds: Any  # these may be arrays: of what would be with so many seeds or images
    shared: Any
    own: Any
    lent: float

    def chance(self, gap: float, count: Any, level: float) -> Any:
        """Of an interval over `count` differences, as `interval_of_draws` makes it, to leave out what is `gap` away."""
        errors = errors_of(self.seeds / count, count - 1 + self.lent, self.shared, self.own / count)
        return np.min(np.broadcast_arrays(*(_chance(gap, *one, level) for one in errors)), axis=0)


def _chance(gap: float, error: Any, freedom: Any, level: float) -> Any:
    """The same where one error counts. Student's noncentral distribution: the next seeds have a spread of their own."""
    from scipy.special import nctdtr, ndtr

    reach = factor(freedom, level)
    with np.errstate(divide="ignore", invalid="ignore"):
        away = np.where(np.asarray(error) > 0, np.divide(gap, error), np.inf if gap else 0)
    missed = np.nan_to_num(nctdtr(np.minimum(freedom, MANY), np.minimum(away, 1e3), reach))  # nan where it is next to 0
    return np.where(np.asarray(freedom) < MANY, 1 - missed, ndtr(away - reach))


def _spread(interval: Interval) -> _Spread | None:
    """None where there is none to be seen."""
    count = len(interval.differences)
    if count < 2 or not np.isfinite(interval.mean):
        return None
    images, seeds, both = interval.by_images, interval.by_seeds or interval, interval.by_both or interval
    shared = max(0.0, both.error**2 - seeds.error**2)
    own = max(0.0, images.error**2 - shared) * count if images else 0.0
    return _Spread(seeds.error**2 * count, shared, own, seeds.freedom - (count - 1))


def errors_of(seeds: Any, freedom: Any, shared: Any, own: Any) -> tuple[tuple[Any, Any], ...]:
    """Standard error and degrees of freedom over images, over seeds and over both, from variances of the mean.

    `freedom` is that of the seeds. The images know their error from a thousand draws, the seeds theirs from two or
    three: Student's factor belongs to the seeds' part alone, and the degrees of freedom of the sum are Welch's and
    Satterthwaite's (1946). With two or three seeds the sum alone covers too seldom, since their spread may look small
    by chance; the widest does not.
    """
    both = seeds + shared
    with np.errstate(divide="ignore", invalid="ignore"):  # where there is no error, any freedom will do
        of_both = np.fmax(freedom, freedom * np.square(np.divide(both, seeds)))
    return ((shared + own) ** 0.5, np.inf), (seeds**0.5, freedom), (both**0.5, of_both)


def interval_of_draws(observed: Floats, drawn: Floats, level: float, study: StudySpread | None = None) -> Interval:
    """From the differences (n,) and their draws (R, n), in which all seeds see the same images.

    The variance over draws of the mean is the part that the seeds share and a part of each one's own divided by n; the
    variance of a single difference is the sum of both. The seeds' spread holds their own part already, so only the
    shared one is added to it; `study` moderates it (see `moderated`). Drawing two or three seeds with replacement in
    place of this covers too seldom (`benchmarks/coverage.py`).
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
    variance, freedom = moderated(float(observed.var(ddof=1)), n, study)
    errors = errors_of(variance / n, freedom, shared, max(0.0, whole - shared))
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
    from scipy.special import stdtrit

    return stdtrit(np.asarray(freedom, np.float64), (1 + level) / 2)
