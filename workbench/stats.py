"""What a difference between two models is worth: paired intervals over images and seeds, and verdicts.

An interval over images speaks of these checkpoints, one over seeds of the method. Both are computed, and a third over
both at once; the widest decides. Where runs share a trunk, the trunk is the block: its seeds are averaged before
anything is counted.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtr, stdtrit

from workbench.errors import Refused
from workbench.evaluate import THRESHOLDS, MatchRecords

Floats = NDArray[np.float64]
Metric = Literal["AP", "AP50", "AP75", "mOKS", "NME"]
Unit = Literal["seed", "trunk"]

_THRESHOLDS = {"AP": tuple(range(len(THRESHOLDS))), "AP50": (THRESHOLDS.index(0.5),), "AP75": (THRESHOLDS.index(0.75),)}
_RECALLS: Floats = np.linspace(0, 1, 101)
MOST = 100  # seeds, trunks or times the images beyond which a difference counts as undecidable
FEW = 4  # differences, up to which an open verdict says what they can not know
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


def paired_bootstrap(a: Sequence[Resampled], b: Sequence[Resampled], level: float = 0.95) -> Interval:
    """The difference b - a, pair by pair, over images and seeds.

    Args:
        a, b: one model per seed (or trunk), in the same order; every one on the same images and draws.
        level: of the interval.

    Raises:
        Refused: unpaired input, or models that saw different images.
    """
    return _interval(*_differences(a, b), level)


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
    per_block = {name: _interval(observed[i], drawn[:, i], level) for name, i in members.items()}
    means = np.asarray([observed[i].mean() for i in members.values()])
    drawn_means = np.stack([drawn[:, i].mean(1) for i in members.values()], axis=1)
    return per_block, _interval(means, drawn_means, level)


def t_interval(differences: Sequence[float] | Floats, level: float = 0.95) -> Interval:
    """Student's interval of the mean of at least two independent differences."""
    values = np.asarray(differences, np.float64)
    if len(values) < 2:
        raise Refused(f"{len(values)} difference: an interval over seeds needs two; run more seeds")
    error = float(values.std(ddof=1)) / len(values) ** 0.5
    return _around(float(values.mean()), error, len(values) - 1, level, tuple(values.tolist()))


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
    per_block: Mapping[str, Interval], overall: Interval, bound: float = 0.0, level: float = 0.95, most: int = MOST
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


class Verdict(StrEnum):
    """What the numbers say of a claim. Open is an answer: they do not decide it."""

    HOLDS = "holds"
    FAILS = "fails"
    OPEN = "open"


@dataclass(frozen=True, slots=True)
class Decision:
    """A verdict and a sentence with its numbers."""

    state: Verdict
    reason: str


def percent(metric: str) -> bool:
    """Whether a metric is shown in percent: all but errors."""
    return metric == "mOKS" or metric.startswith(("AP", "AR"))


def said(value: float, metric: str) -> str:
    """A difference as it stands in a sentence, without its unit: in points where the metric is shown in percent."""
    return f"{100 * value:+.2f}" if percent(metric) else f"{value:+.4f}"


def verdict(interval: Interval, margin: float = 0.0, metric: str = "AP", unit: Unit = "seed") -> Decision:
    """Is the difference better than `margin`? Holds or fails only if the whole interval says so.

    Args:
        interval: of the difference claimed better minus the other one.
        margin: as the metric is recorded, towards better: 0.005 asks for more than half a point of AP, -0.005 for a
            loss of less than that.
        metric: what the difference is of: lower is better for NME.
        unit: what the interval's differences are differences of; a single one decides nothing.
    """
    low, high = _towards_better(interval.low, interval.high, metric)
    count, bound = len(interval.differences), f"{said(bound_of(margin, metric), metric)} {metric}"
    numbers = _numbers(interval, metric, unit)
    if not np.isfinite([interval.mean, low, high]).all():
        return Decision(Verdict.OPEN, f"not measured: {numbers}")
    if count < 2:
        return Decision(Verdict.OPEN, f"one {unit}: {numbers}; it says nothing of another {unit}")
    if low > margin:
        return Decision(Verdict.HOLDS, f"{numbers}: all of it better than {bound}")
    if high < margin:
        return Decision(Verdict.FAILS, f"{numbers}: all of it worse than {bound}")
    factor = f"{student_factor(count, interval.level):.1f}"
    few = f"; {count} {unit}s say little of others: Student's factor is {factor}, not 2" if count <= FEW else ""
    return Decision(Verdict.OPEN, f"{numbers}: it includes {bound}{few}")


def bound_of(margin: float, metric: str) -> float:
    """The difference that lies `margin` towards better."""
    return -margin if metric == "NME" else margin


def student_factor(count: int, level: float = 0.95) -> float:
    """How many standard errors an interval over so many differences reaches to each side."""
    return float(_factor(count - 1, level))


def _numbers(interval: Interval, metric: str, unit: Unit) -> str:
    count = len(interval.differences)
    parts = {"images": interval.by_images, f"{unit}s": interval.by_seeds}
    each = ", ".join(f"other {what} {_ends(i, metric)}" for what, i in parts.items() if i is not None)
    return (
        f"difference {said(interval.mean, metric)} {metric}, {100 * interval.level:g} % interval "
        f"{_ends(interval, metric)}" + f" ({each})" * bool(each) + f", {count} {unit}{'' if count == 1 else 's'}"
    )


def _ends(interval: Interval, metric: str) -> str:
    return f"{said(interval.low, metric)} to {said(interval.high, metric)}"


def block_verdict(
    per_block: Mapping[str, Interval], overall: Interval, margin: float = 0.0, metric: str = "AP"
) -> Decision:
    """The verdict over trunks: one only where every trunk's difference lies on the same side of the margin.

    Args:
        per_block: interval within each trunk.
        overall: interval over trunks, one difference per trunk (see `blocked_bootstrap`).
        margin, metric: as `verdict`.
    """
    if len(per_block) == 1:
        (only,) = per_block.values()
        return verdict(only, margin, metric) if len(only.differences) < 2 else _one_trunk(only, metric)
    sides = {_side(interval.mean, margin, metric) for interval in per_block.values()}
    if sides not in ({1}, {-1}):
        return Decision(Verdict.OPEN, f"{_divided(per_block, margin, metric)}: {by_trunk(per_block, metric)}")
    return verdict(overall, margin, metric, unit="trunk")


def _divided(per_block: Mapping[str, Interval], margin: float, metric: str) -> str:
    """Trunks that disagree. A single seed on one of them may be what makes the difference."""
    if repeats(per_block) > 1:
        return "depends on the trunk"
    return f"not all better or worse than {said(bound_of(margin, metric), metric)}" if margin else "the signs differ"


def repeats(per_block: Mapping[str, Interval]) -> int:
    """Seeds on the trunk that has the fewest."""
    return min(len(interval.differences) for interval in per_block.values())


def by_trunk(per_block: Mapping[str, Interval], metric: str) -> str:
    """The difference on each trunk."""
    return ", ".join(f"{name} {said(interval.mean, metric)}" for name, interval in per_block.items()) + f" {metric}"


def _one_trunk(interval: Interval, metric: str) -> Decision:
    count, difference = len(interval.differences), f"{said(interval.mean, metric)} {metric}"
    return Decision(
        Verdict.OPEN, f"one trunk: difference {difference} over {count} seeds; it says nothing of another trunk"
    )


def _side(mean: float, margin: float, metric: str) -> int:
    value, _ = _towards_better(mean, mean, metric)
    return int(value > margin) - int(value < margin)


def _towards_better(low: float, high: float, metric: str) -> tuple[float, float]:
    return (-high, -low) if metric == "NME" else (low, high)


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
        """Half the width of the interval over `count` differences, as `_interval` makes it."""
        errors = _errors(self.seeds / count, count, self.shared, self.own / count)
        return np.max(np.broadcast_arrays(*(_factor(freedom, level) * error for error, freedom in errors)), axis=0)


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


def _interval(observed: Floats, drawn: Floats, level: float) -> Interval:
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
        images = _around(mean, whole**0.5, np.inf, level)
        return replace(images, differences=tuple(observed.tolist()), by_images=images)
    shared = max(0.0, (n * whole - single) / (n - 1))
    errors = _errors(float(observed.var(ddof=1)) / n, n, shared, max(0.0, whole - shared))
    images, seeds, both = (_around(mean, float(error), float(freedom), level) for error, freedom in errors)
    widest = max(images, seeds, both, key=lambda interval: interval.width)
    return replace(widest, differences=tuple(observed.tolist()), by_images=images, by_seeds=seeds, by_both=both)


def _around(mean: float, error: float, freedom: float, level: float, differences: tuple[float, ...] = ()) -> Interval:
    half = float(_factor(freedom, level)) * error
    return Interval(
        mean=mean, low=mean - half, high=mean + half, level=level, differences=differences, error=error, freedom=freedom
    )


def _factor(freedom: Any, level: float) -> Any:
    """Student's: how many standard errors to each side hold the mean with probability `level`."""
    return stdtrit(np.asarray(freedom, np.float64), (1 + level) / 2)
