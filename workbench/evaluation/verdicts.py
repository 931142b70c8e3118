"""From an interval to a verdict and a sentence that says why."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Literal, NamedTuple

import numpy as np

from workbench.evaluation.intervals import Interval, factor, repeats
from workbench.evaluation.metrics import METRICS

Unit = Literal["seed", "trunk"]
FEW = 4  # differences, up to which an open verdict says what they can not know


class Verdict(StrEnum):
    """What the numbers say of a claim. Open is an answer: they do not decide it."""

    HOLDS = "holds"
    FAILS = "fails"
    OPEN = "open"


VERBS = {Verdict.HOLDS: ("holds", "hold"), Verdict.FAILS: ("fails", "fail"), Verdict.OPEN: ("is open", "are open")}


class Decision(NamedTuple):
    """A verdict and a sentence with its numbers."""

    verdict: Verdict
    reason: str


def _said(value: float, metric: str) -> str:
    """A difference as it stands in a sentence, with a digit more than the values of a table."""
    return METRICS[metric].difference(value, more=1)


def interval_verdict(interval: Interval, margin: float = 0.0, metric: str = "AP", unit: Unit = "seed") -> Decision:
    """Is the difference better than `margin`? Holds or fails only if the whole interval says so.

    Args:
        interval: of the difference claimed better minus the other one.
        margin: as the metric is recorded, towards better: 0.005 asks for more than half a point of AP, -0.005 for a
            loss of less than that.
        metric: what the difference is of; `METRICS` knows which way is better.
        unit: what the interval's differences are differences of; a single one decides nothing.
    """
    low, high = _towards_better(interval.low, interval.high, metric)
    count, bound = len(interval.differences), f"{_said(bound_of(margin, metric), metric)} {metric}"
    numbers = _numbers(interval, metric, unit)
    if not np.isfinite([interval.mean, low, high]).all():
        return Decision(Verdict.OPEN, f"not measured: {numbers}")
    if count < 2:
        return Decision(Verdict.OPEN, f"one {unit}: {numbers}; it says nothing of another {unit}")
    if low > margin:
        return Decision(Verdict.HOLDS, f"{numbers}: all of it better than {bound}")
    if high < margin:
        return Decision(Verdict.FAILS, f"{numbers}: all of it worse than {bound}")
    return Decision(Verdict.OPEN, f"{numbers}: it includes {bound}{_few(interval, unit) if count <= FEW else ''}")


def _few(interval: Interval, unit: Unit) -> str:
    """What a handful of differences can not know. Where no spread moderates theirs, their count is all that counts."""
    seeds = interval.by_seeds or interval
    freedom = min(seeds.freedom, 1e3)
    reach = f"Student's factor is {float(factor(freedom, interval.level)):.1f}, not 2"
    return f"; {len(interval.differences)} {unit}s say little of others: {reach}"


def bound_of(margin: float, metric: str) -> float:
    """The difference that lies `margin` towards better."""
    return METRICS[metric].towards_better(margin)


def _numbers(interval: Interval, metric: str, unit: Unit) -> str:
    count = len(interval.differences)
    parts = {"images": interval.by_images, f"{unit}s": interval.by_seeds}
    each = ", ".join(f"other {what} {_ends(i, metric)}" for what, i in parts.items() if i is not None)
    return (
        f"difference {_said(interval.mean, metric)} {metric}, {100 * interval.level:g} % interval "
        f"{_ends(interval, metric)}" + f" ({each})" * bool(each) + f", {count} {unit}{'' if count == 1 else 's'}"
    )


def _ends(interval: Interval, metric: str) -> str:
    return f"{_said(interval.low, metric)} to {_said(interval.high, metric)}"


def block_verdict(
    per_block: Mapping[str, Interval], overall: Interval, margin: float = 0.0, metric: str = "AP"
) -> Decision:
    """The verdict over trunks: one only where every trunk's difference lies on the same side of the margin.

    Args:
        per_block: interval within each trunk.
        overall: interval over trunks, one difference per trunk (see `blocked_bootstrap`).
        margin, metric: as `interval_verdict`.
    """
    if len(per_block) == 1:
        (only,) = per_block.values()
        return interval_verdict(only, margin, metric) if len(only.differences) < 2 else _one_trunk(only, metric)
    sides = {_side(interval.mean, margin, metric) for interval in per_block.values()}
    if sides not in ({1}, {-1}):
        return Decision(Verdict.OPEN, f"{_divided(per_block, margin, metric)}: {by_trunk(per_block, metric)}")
    return interval_verdict(overall, margin, metric, unit="trunk")


def teacher_verdict(
    teacher: str,
    overall: Interval,
    others: Mapping[str, float],
    margin: float = 0.0,
    metric: str = "AP",
    agree: bool = True,
) -> Decision:
    """The verdict over the trunks of one teacher, given only where those of the others lie on the same side.

    Args:
        teacher: who taught the trunks of `overall`, as it reads after "taught": "jointly", "by regression".
        others: mean difference on the trunks of each other teacher, by such words.
        margin, metric: as `interval_verdict`.
        agree: False where the claim is of that teacher alone: the others are told and do not count.
    """
    told = ", ".join(f"{who} {_said(mean, metric)}" for who, mean in others.items())
    if agree and teachers_differ(overall, others, margin, metric):
        mine = f"{teacher} {_said(overall.mean, metric)} ({_ends(overall, metric)})"
        return Decision(Verdict.OPEN, f"depends on who taught the trunk: {mine}, {told} {metric}")
    verdict, reason = interval_verdict(overall, margin, metric, unit="trunk")
    return Decision(verdict, f"taught {teacher}: {reason}" + f"; taught {told} {metric}" * bool(told))


def teachers_differ(overall: Interval, others: Mapping[str, float], margin: float = 0.0, metric: str = "AP") -> bool:
    """Whether a difference on trunks of other teachers lies on another side of the margin than `overall` does."""
    mine = _side(overall.mean, margin, metric)
    return any(_side(mean, margin, metric) != mine for mean in others.values())


def verdict_of_all(parts: Sequence[Verdict]) -> Decision:
    """Of a statement that holds only if every part does; one that fails is enough for it to fail."""
    count = Counter(parts)
    said = ", ".join(f"{n} {one if n == 1 else more}" for state, (one, more) in VERBS.items() if (n := count[state]))
    reason = f"holds only if all of its {len(parts)} parts do: {said}"
    if count[Verdict.FAILS]:
        return Decision(Verdict.FAILS, reason)
    return Decision(Verdict.HOLDS if count[Verdict.HOLDS] == len(parts) else Verdict.OPEN, reason)


def _divided(per_block: Mapping[str, Interval], margin: float, metric: str) -> str:
    """Trunks that disagree. A single seed on one of them may be what makes the difference."""
    if repeats(per_block) > 1:
        return "depends on the trunk"
    return f"not all better or worse than {_said(bound_of(margin, metric), metric)}" if margin else "the signs differ"


def by_trunk(per_block: Mapping[str, Interval], metric: str) -> str:
    """The difference on each trunk."""
    return ", ".join(f"{name} {_said(interval.mean, metric)}" for name, interval in per_block.items()) + f" {metric}"


def _one_trunk(interval: Interval, metric: str) -> Decision:
    count, difference = len(interval.differences), f"{_said(interval.mean, metric)} {metric}"
    return Decision(
        Verdict.OPEN, f"one trunk: difference {difference} over {count} seeds; it says nothing of another trunk"
    )


def _side(mean: float, margin: float, metric: str) -> int:
    value, _ = _towards_better(mean, mean, metric)
    return int(value > margin) - int(value < margin)


def _towards_better(low: float, high: float, metric: str) -> tuple[float, float]:
    """The ends of an interval, the worse one first."""
    first, second = sorted(METRICS[metric].towards_better(end) for end in (low, high))
    return first, second
