"""From the results of a study to a verdict for each of its claims.

Runs are compared in pairs of the same seed and the same trunk. A claim holds or fails only where the interval over
images and seeds lies on one side of its margin, under a probe only where the trunks agree, and only if that stands
after Holm's correction for all claims of the study: of four claims without any truth one would pass now and then.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import cast

from workbench.core.errors import Refused
from workbench.evaluation.bootstrap import Resampled, blocked_bootstrap, paired_bootstrap, resample
from workbench.evaluation.intervals import (
    MOST,
    Interval,
    holm,
    images_needed,
    pvalue,
    repeats,
    repeats_needed,
    seeds_needed,
    t_interval,
)
from workbench.evaluation.metrics import METRICS, UNDEFINED
from workbench.evaluation.records import MatchRecords
from workbench.evaluation.verdicts import FEW, Verdict, block_verdict, bound_of, by_trunk, interval_verdict
from workbench.study import Better, Cheaper, PlannedJob, Study, StudyProtocol
from workbench.training.record import Result

Results = Sequence[tuple[PlannedJob, Result]]
Read = Callable[[Result, str], Resampled]
ALPHA = 0.05  # chance of a wrong verdict among all claims of a study


@dataclass(frozen=True)
class ClaimResult:
    """A claim, what the numbers say of it, and why.

    Fields:
        reason: a sentence with the numbers behind the verdict.
        interval: of the difference; None where nothing could be compared.
        per_trunk: the same on each trunk.
        p: of the margin, from this claim's interval alone; None where no statistic applies.
        adjusted: the same, corrected for all claims of the study and all looks; it must be below `ALPHA`.
        wanted: seeds per row (and trunk) that would decide it at the seen difference and spread; None: no number of
            them, or they are not what it takes.
    """

    claim: Better | Cheaper
    verdict: Verdict
    reason: str
    interval: Interval | None = None
    per_trunk: dict[str, Interval] | None = None
    p: float | None = None
    adjusted: float | None = None
    wanted: int | None = None


@dataclass(frozen=True)
class Pair:
    """Two runs that differ in nothing but the row."""

    trunk: str
    seed: int
    row: Result
    than: Result


def pairs(row: str, than: str, results: Results) -> list[Pair]:
    """The complete pairs of two rows, trunk by trunk.

    An A/A row is paired by the number of its seed, too: its seeds differ, their count does not.
    """
    found = {(job.row, job.seed, job.trunk): result for job, result in results}
    spots = sorted({(job.trunk, job.seed) for job, _ in results})
    return [
        Pair(trunk, seed, found[row, seed, trunk], found[than, seed, trunk])
        for trunk, seed in spots
        if (row, seed, trunk) in found and (than, seed, trunk) in found
    ]


def differences(found: Sequence[Pair], metric: str) -> list[float]:
    """Row minus than of each pair."""
    return [pair.row.metrics[metric] - pair.than.metrics[metric] for pair in found]


def block_differences(found: Sequence[Pair], metric: str) -> list[float]:
    """Row minus than: one per seed, or with trunks one per trunk, its seeds averaged."""
    by_block: dict[str | int, list[float]] = {}
    for pair, value in zip(found, differences(found, metric), strict=True):
        by_block.setdefault(pair.trunk or pair.seed, []).append(value)
    return [sum(values) / len(values) for values in by_block.values()]


def noise_floor(study: Study, results: Results, metric: str = "AP") -> list[float]:
    """What other seeds alone change: each A/A row minus the row that it repeats, per seed and trunk."""
    twins = [
        (again.label, row.label)
        for again in study.rows
        for row in study.rows
        if again.seed_offset and not row.seed_offset and again.changes == row.changes
    ]
    return [value for again, row in twins for value in differences(pairs(again, row, results), metric)]


def resampled_run(result: Result, metric: str) -> Resampled:
    """The resampled metric of a run, from its match records. Computed once per process."""
    path = result.folder / "records.npz"
    if not path.exists():
        raise Refused(f"{path} is missing: {metric} is compared image by image; train that job again")
    return _recorded(path, path.stat().st_mtime_ns, metric)


@lru_cache(maxsize=4096)
def _recorded(path: Path, _: int, metric: str) -> Resampled:
    return resample(MatchRecords.load(path), metric)


def judge_study(study: Study, protocol: StudyProtocol, results: Results) -> list[ClaimResult]:
    """One result per claim, in the order of the study, from one look at its results."""
    return judge_claims(study.claims, protocol, results)


def judge_claims(
    claims: Sequence[Better], protocol: StudyProtocol, results: Results, looks: int = 1, read: Read = resampled_run
) -> list[ClaimResult]:
    """One result per claim, corrected for all of them.

    Args:
        looks: how often the claims are judged at most while seeds are added; each look gets an equal part of `ALPHA`.
        read: gives the resampled metric of a run.
    """
    found = [_uncorrected(claim, protocol, pairs(claim.row, claim.than, results), read) for claim in claims]
    family = [i for i, one in enumerate(found) if one.p is not None]
    values = [cast(float, found[i].p) for i in family]
    level = 1 - ALPHA / (max(1, len(family)) * looks)  # of forecasts: Holm's smaller factors come after other verdicts
    for i, adjusted in zip(family, holm(values), strict=True):
        one = replace(found[i], adjusted=min(1.0, float(adjusted) * looks))
        found[i] = _with_forecast(_corrected(one, len(family), looks), protocol, level)
    return found


def _uncorrected(claim: Better, protocol: StudyProtocol, found: list[Pair], read: Read) -> ClaimResult:
    """By its own numbers alone."""
    if not found:
        return _unmeasured(claim, protocol, f"no pair of {claim.row!r} and {claim.than!r} is complete")
    if not all(_known(claim.metric, run) for pair in found for run in (pair.row, pair.than)):
        return _unmeasured(claim, protocol, f"{claim.metric} is not recorded of every run")
    per_trunk, overall = _intervals(claim.metric, found, read)
    p = pvalue(overall, _bound(claim))
    if not protocol.trunks:
        return ClaimResult(claim, *interval_verdict(overall, claim.margin, claim.metric), overall, p=p)
    if claim.from_scratch:
        numbers = by_trunk(per_trunk, claim.metric)
        reason = f"only networks trained whole can decide it, here the trunk was frozen ({numbers})"
        return ClaimResult(claim, Verdict.OPEN, reason, overall, per_trunk)
    if missing := [trunk for trunk in protocol.trunks if trunk not in per_trunk]:
        return replace(
            _unmeasured(claim, protocol, f"no complete pair on trunk {', '.join(missing)}"),
            interval=overall,
            per_trunk=per_trunk,
        )
    return ClaimResult(claim, *block_verdict(per_trunk, overall, claim.margin, claim.metric), overall, per_trunk, p)


def _unmeasured(claim: Better, protocol: StudyProtocol, reason: str) -> ClaimResult:
    """Still one of the claims that are corrected for, if it will be one when it is measured."""
    frozen = claim.from_scratch and bool(protocol.trunks)
    return ClaimResult(claim, Verdict.OPEN, reason, p=None if frozen else 1.0)


def _corrected(one: ClaimResult, family: int, looks: int) -> ClaimResult:
    """Open unless the verdict stands after the correction; the reason says both p-values."""
    assert one.p is not None and one.adjusted is not None
    if one.p == 1:
        return one
    counted = " and ".join([f"{family} claims"] * (family > 1) + [f"{looks} looks"] * (looks > 1))
    both = f"p {_p(one.p)}" + f", corrected for {counted} {_p(one.adjusted)}" * bool(counted)
    if one.verdict is Verdict.OPEN or one.adjusted < ALPHA:
        return _with_reason(one, both)
    alone = f"alone it {one.verdict}, corrected it does not: {both}, not below {ALPHA:g}; {one.reason}"
    return replace(one, verdict=Verdict.OPEN, reason=alone)


def _p(value: float) -> str:
    return f"{value:.2g}" if value >= 1e-4 else "< 0.0001"


def _with_forecast(one: ClaimResult, protocol: StudyProtocol, level: float) -> ClaimResult:
    """An open claim with what it would take to decide it, at the difference and the spread seen so far."""
    interval = one.interval
    if one.verdict is not Verdict.OPEN or interval is None or len(interval.differences) < 2:
        return one
    assert isinstance(one.claim, Better)
    bound = _bound(one.claim)
    blocks = seeds_needed(interval, bound, level)
    if not protocol.trunks:
        outlook = _outlook(blocks, images_needed(interval, bound, level))
        return replace(_with_reason(one, outlook + _guess(interval, "seeds")), wanted=blocks)
    if one.per_trunk is None or len(one.per_trunk) < len(protocol.trunks):
        return one
    wanted = repeats_needed(one.per_trunk, interval, bound, level)
    outlook = _on_trunks(wanted, repeats(one.per_trunk), _takes(blocks, "trunks"))
    return replace(_with_reason(one, outlook + _guess(interval, "trunks")), wanted=wanted)


def _on_trunks(wanted: int | None, seen: int, trunks: str) -> str:
    if wanted is not None:
        return _takes(wanted, "seeds per trunk")
    if seen < 2:
        return f"with one seed per trunk it is not known whether trunks or seeds differ, --seeds 2 tells; {trunks}"
    return f"more seeds would not do, the trunks differ; {trunks}"


def _guess(interval: Interval, what: str) -> str:
    """What a forecast from a spread is worth that was seen in a handful."""
    count = len(interval.differences)
    return f"; a guess from {count} {what}" if count <= FEW else ""


def _takes(count: int | None, what: str) -> str:
    if count is None:
        return f"would take more than {MOST} {what}: practically undecidable at this size of effect"
    return f"would take about {count} {what} at this spread"


def _outlook(seeds: int | None, images: float | None) -> str:
    if seeds is not None:
        return _takes(seeds, "seeds") + (
            f", or {images:.1f} times the images" if images else "; more images would not do"
        )
    if images is not None:
        return f"would take about {images:.1f} times the images; more seeds would not do"
    return _takes(None, "seeds or times the images")


def _with_reason(one: ClaimResult, more: str) -> ClaimResult:
    return replace(one, reason=f"{one.reason}; {more}")


def _bound(claim: Better) -> float:
    return bound_of(claim.margin, claim.metric)


def _known(metric: str, run: Result) -> bool:
    """Whether a run tells it. COCO's -1 says that no person counts."""
    value = run.metrics.get(metric, math.nan)
    return METRICS[metric].resample is not None or (math.isfinite(value) and value != UNDEFINED)


def _intervals(metric: str, found: list[Pair], read: Read) -> tuple[dict[str, Interval], Interval]:
    """The difference row - than on each trunk and overall; image by image where match records hold the metric."""
    trunks = [pair.trunk for pair in found]
    blocked = any(trunks)
    if METRICS[metric].resample is not None:
        than, row = ([read(run, metric) for run in side] for side in _sides(found))
        if blocked:
            return blocked_bootstrap(than, row, trunks)
        return {}, paired_bootstrap(than, row)
    if not blocked:
        return {}, _over(differences(found, metric))
    members = {name: [pair for pair in found if pair.trunk == name] for name in dict.fromkeys(trunks)}
    per_trunk = {name: _over(differences(mine, metric)) for name, mine in members.items()}
    return per_trunk, _over(block_differences(found, metric))


def _sides(found: list[Pair]) -> tuple[list[Result], list[Result]]:
    return [pair.than for pair in found], [pair.row for pair in found]


def _over(differences: Sequence[float]) -> Interval:
    """A number that images can not be drawn for has an interval over seeds only."""
    if len(differences) > 1:
        return t_interval(differences)
    return Interval(mean=differences[0], low=differences[0], high=differences[0], differences=tuple(differences))
