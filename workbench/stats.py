"""What a difference between two models is worth: paired intervals over images and seeds, and verdicts.

An interval over images speaks of these checkpoints, one over seeds of the method. Both are computed, and the wider one
decides. Where runs share a trunk, the trunk is the block: seeds inside a trunk are averaged before anything is counted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t as student

from workbench.errors import Refused
from workbench.evaluate import THRESHOLDS, MatchRecords

Floats = NDArray[np.float64]
Metric = Literal["AP", "AP50", "AP75", "mOKS", "NME"]
Direction = Literal["higher", "lower"]

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
class Interval:
    """A mean difference and where it lies with probability `level`.

    `low` and `high` are those of the widest of three: over images (`by_images`: what other images would say of these
    checkpoints), over seeds or trunks (`by_seeds`: what other seeds would say; none with a single one), and both drawn
    together.
    """

    mean: float
    low: float
    high: float
    level: float = 0.95
    differences: tuple[float, ...] = ()  # of each seed or trunk, on all images
    p: float = float("nan")  # see `paired_pvalue`
    by_images: Interval | None = None
    by_seeds: Interval | None = None

    @property
    def width(self) -> float:
        return self.high - self.low


def paired_bootstrap(
    a: Sequence[MatchRecords],
    b: Sequence[MatchRecords],
    resamples: int = 2_000,
    seed: int = 0,
    metric: Metric = "AP",
    level: float = 0.95,
) -> Interval:
    """The difference b - a, pair by pair, over resampled images crossed with resampled seeds.

    Args:
        a, b: one record per seed (or trunk), in the same order; every one of the same images.
        resamples: number of draws; all pairs see the same images in a draw.
        seed: of the draws.
        metric: what to compare.
        level: of the interval.

    Raises:
        Refused: unpaired input, or records of different images.
    """
    observed, drawn = _differences(a, b, resamples, seed, metric)
    return _interval(observed, drawn, seed, level)


def blocked_bootstrap(
    a: Sequence[MatchRecords],
    b: Sequence[MatchRecords],
    blocks: Sequence[str],
    resamples: int = 2_000,
    seed: int = 0,
    metric: Metric = "AP",
    level: float = 0.95,
) -> tuple[dict[str, Interval], Interval]:
    """The difference b - a in every block (trunk) over its seeds, and overall over blocks.

    Overall, the seeds of a block are averaged first: they share the trunk and are no independent evidence.

    Args:
        blocks: the trunk of each pair; the other arguments as `paired_bootstrap`.
    """
    if len(blocks) != len(a):
        raise Refused(f"{len(blocks)} block names for {len(a)} pairs: give one per pair")
    observed, drawn = _differences(a, b, resamples, seed, metric)
    members = {name: [i for i, other in enumerate(blocks) if other == name] for name in dict.fromkeys(blocks)}
    per_block = {name: _interval(observed[i], drawn[:, i], seed, level) for name, i in members.items()}
    means = np.asarray([observed[i].mean() for i in members.values()])
    drawn_means = np.stack([drawn[:, i].mean(1) for i in members.values()], axis=1)
    return per_block, _interval(means, drawn_means, seed, level)


def t_interval(differences: Sequence[float] | Floats, level: float = 0.95) -> Interval:
    """Student's interval of the mean of at least two independent differences."""
    values = np.asarray(differences, np.float64)
    if len(values) < 2:
        raise Refused(f"{len(values)} difference: an interval over seeds needs two; run more seeds")
    half = float(student.ppf((1 + level) / 2, len(values) - 1) * values.std(ddof=1) / len(values) ** 0.5)
    mean = float(values.mean())
    return Interval(mean=mean, low=mean - half, high=mean + half, level=level, differences=tuple(values.tolist()))


def paired_pvalue(differences: Sequence[float] | Floats, draws: Floats) -> float:
    """Two-sided p of `no difference`: the larger of Student's over seeds and the tail of the bootstrap draws.

    1 with a single seed: it says nothing of the method.
    """
    values = np.asarray(differences, np.float64)
    draws = draws[np.isfinite(draws)]
    if len(values) < 2 or not len(draws):
        return 1.0
    spread = float(values.std(ddof=1)) / len(values) ** 0.5
    if spread == 0:
        over_seeds = float(values.mean() == 0)
    else:
        over_seeds = float(2 * student.sf(abs(values.mean()) / spread, len(values) - 1))
    tail = min((draws <= 0).sum(), (draws >= 0).sum())
    return float(max(over_seeds, min(1.0, 2 * (tail + 1) / (len(draws) + 1))))


def holm(pvalues: Sequence[float] | Floats) -> Floats:
    """Holm's adjusted p-values, in the given order: compare each with the level of the whole family."""
    p = np.asarray(pvalues, np.float64)
    order = np.argsort(p, kind="stable")
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(1, np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1)))
    return adjusted


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


def verdict(
    interval: Interval, margin: float = 0.0, direction: Direction = "higher", unit: Literal["seed", "trunk"] = "seed"
) -> Decision:
    """Is the difference better than `margin`? Holds or fails only if the whole interval says so.

    Args:
        interval: of the difference claimed better minus the other one.
        margin: in the metric's units, towards better: 0.005 asks for more than half a point of AP, -0.005 for a loss of
            less than that.
        direction: whether `higher` or `lower` is better.
        unit: what the interval's differences are differences of; a single one decides nothing.
    """
    low, high = _towards_better(interval.low, interval.high, direction)
    count = len(interval.differences)
    numbers = (
        f"difference {interval.mean:+.4f}, {100 * interval.level:g} % interval {interval.low:+.4f} to "
        f"{interval.high:+.4f}, {count} {unit}{'' if count == 1 else 's'}"
    )
    bound = f"{margin if direction == 'higher' else -margin:+.4f}"
    if not np.isfinite([interval.mean, low, high]).all():
        return Decision(Verdict.OPEN, f"not measured: {numbers}")
    if count < 2:
        return Decision(Verdict.OPEN, f"one {unit}: {numbers}; it says nothing of another {unit}")
    if low > margin:
        return Decision(Verdict.HOLDS, f"{numbers}: all of it better than {bound}")
    if high < margin:
        return Decision(Verdict.FAILS, f"{numbers}: all of it worse than {bound}")
    return Decision(Verdict.OPEN, f"{numbers}: it includes {bound}")


def block_verdict(
    per_block: dict[str, Interval], overall: Interval, margin: float = 0.0, direction: Direction = "higher"
) -> Decision:
    """The verdict over trunks: one only where every trunk's difference lies on the same side of the margin.

    Args:
        per_block: interval within each trunk.
        overall: interval over trunks, one difference per trunk (see `blocked_bootstrap`).
        margin, direction: as `verdict`.
    """
    if len(per_block) == 1:
        (only,) = per_block.values()
        return verdict(only, margin, direction) if len(only.differences) < 2 else _one_trunk(only)
    sides = {_side(interval.mean, margin, direction) for interval in per_block.values()}
    if sides not in ({1}, {-1}):
        each = ", ".join(f"{name} {interval.mean:+.4f}" for name, interval in per_block.items())
        return Decision(Verdict.OPEN, f"depends on the trunk: {each}")
    return verdict(overall, margin, direction, unit="trunk")


def _one_trunk(interval: Interval) -> Decision:
    count = len(interval.differences)
    return Decision(
        Verdict.OPEN, f"one trunk: difference {interval.mean:+.4f} over {count} seeds; it says nothing of another trunk"
    )


def _side(mean: float, margin: float, direction: Direction) -> int:
    value, _ = _towards_better(mean, mean, direction)
    return int(value > margin) - int(value < margin)


def _towards_better(low: float, high: float, direction: Direction) -> tuple[float, float]:
    if direction not in ("higher", "lower"):
        raise Refused(f"direction {direction!r}: expected 'higher' or 'lower'")
    return (low, high) if direction == "higher" else (-high, -low)


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


def _differences(
    a: Sequence[MatchRecords], b: Sequence[MatchRecords], resamples: int, seed: int, metric: Metric
) -> tuple[Floats, Floats]:
    """b - a of every pair: (n,) on all images, (R, n) on resampled ones; nan where the metric is undefined."""
    if not a or len(a) != len(b):
        raise Refused(f"{len(a)} and {len(b)} records: a paired comparison needs as many of both, at least one")
    ids = a[0].image_ids
    for records in (*a, *b):
        if not np.array_equal(records.image_ids, ids):
            raise Refused("the records are of different images: evaluate both on the same set")
    weights = np.concatenate([np.ones((1, len(ids)), np.int64), image_weights(len(ids), resamples, seed)])
    columns = [_defined(y, weights, metric) - _defined(x, weights, metric) for x, y in zip(a, b, strict=True)]
    values = np.stack(columns, axis=1)
    return values[0], values[1:]


def _defined(records: MatchRecords, weights: NDArray[Any], metric: Metric) -> Floats:
    values = resampled_metric(records, weights, metric)
    return np.where(values == -1, np.nan, values) if metric in _THRESHOLDS else values


def _interval(observed: Floats, drawn: Floats, seed: int, level: float) -> Interval:
    n = len(observed)
    mean = float(observed.mean())
    by_images = _percentiles(mean, drawn.mean(1), level)
    if n < 2 or not np.isfinite(mean):
        return Interval(
            mean=mean, low=by_images.low, high=by_images.high, level=level, differences=tuple(observed.tolist()),
            p=paired_pvalue(observed, drawn.mean(1)), by_images=by_images,
        )  # fmt: skip
    # A stream of its own: the draws of seeds must not follow those of images.
    rng = np.random.default_rng([seed, n])
    counts = rng.multinomial(n, np.full(n, 1 / n), size=len(drawn))
    crossed = (drawn * counts).sum(1) / n
    by_seeds = t_interval(observed, level)
    widest = max(by_images, by_seeds, _percentiles(mean, crossed, level), key=lambda interval: interval.width)
    return Interval(
        mean=mean, low=widest.low, high=widest.high, level=level, differences=tuple(observed.tolist()),
        p=paired_pvalue(observed, crossed), by_images=by_images, by_seeds=by_seeds,
    )  # fmt: skip


def _percentiles(mean: float, draws: Floats, level: float) -> Interval:
    draws = draws[np.isfinite(draws)]
    low, high = np.quantile(draws, [(1 - level) / 2, (1 + level) / 2]) if len(draws) else (np.nan, np.nan)
    return Interval(mean=mean, low=float(low), high=float(high), level=level)
