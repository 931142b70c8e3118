"""From the results of a study to a verdict for each of its claims.

Runs are compared in pairs of the same seed and the same trunk. A claim holds or fails only where the interval over
images and seeds lies on one side of its margin; under a probe only where the trunks agree.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import get_args

from workbench.evaluate import MatchRecords
from workbench.run import Result
from workbench.stats import (
    Decision,
    Direction,
    Interval,
    Metric,
    Verdict,
    block_verdict,
    blocked_bootstrap,
    paired_bootstrap,
    t_interval,
    verdict,
)
from workbench.study import Better, Cell, Cheaper, Setting, Study

Results = Sequence[tuple[Cell, Result]]
LOWER_IS_BETTER = ("NME", "params", "gflops", "latency_ms_p50", "latency_ms_p90")


@dataclass(frozen=True)
class Judgement:
    """A claim, what the numbers say of it, and the interval behind that (None where nothing could be compared)."""

    claim: Better | Cheaper
    decision: Decision
    interval: Interval | None = None
    per_trunk: dict[str, Interval] | None = None


@dataclass(frozen=True)
class Pair:
    """Two runs that differ in nothing but the row."""

    trunk: str
    seed: int
    row: Result
    than: Result


def pairs(claim: Better, results: Results) -> list[Pair]:
    """The complete pairs of a claim's two rows, trunk by trunk."""
    found = {(cell.row, cell.seed, cell.trunk): result for cell, result in results}
    spots = sorted({(cell.trunk, cell.seed) for cell, _ in results})
    return [
        Pair(trunk, seed, found[claim.row, seed, trunk], found[claim.than, seed, trunk])
        for trunk, seed in spots
        if (claim.row, seed, trunk) in found and (claim.than, seed, trunk) in found
    ]


def noise_floor(study: Study, results: Results, metric: str = "AP") -> list[float]:
    """What other seeds alone change: each A/A row minus the row that it repeats, per seed and trunk."""
    found = {(cell.row, cell.seed, cell.trunk): result.metrics[metric] for cell, result in results}
    twins = [
        (again.label, row.label)
        for again in study.rows
        for row in study.rows
        if again.seed_offset and not row.seed_offset and again.changes == row.changes
    ]
    return [
        found[again, seed, trunk] - found[row, seed, trunk]
        for again, row in twins
        for label, seed, trunk in found
        if label == again and (row, seed, trunk) in found
    ]


def verdicts(study: Study, setting: Setting, results: Results) -> list[Judgement]:
    """One judgement per claim, in the order of the study."""
    return [_judged(claim, setting, pairs(claim, results)) for claim in study.claims]


def _judged(claim: Better, setting: Setting, found: list[Pair]) -> Judgement:
    if not found:
        return Judgement(claim, _open(f"no pair of {claim.row!r} and {claim.than!r} is complete"))
    per_trunk, overall = _intervals(claim.metric, found)
    direction: Direction = "lower" if claim.metric in LOWER_IS_BETTER else "higher"
    if claim.from_scratch and setting.trunks:
        numbers = ", ".join(f"{name} {interval.mean:+.4f}" for name, interval in per_trunk.items())
        reason = f"only networks trained whole can decide it, here the trunk was frozen ({numbers})"
        return Judgement(claim, _open(reason), overall, per_trunk)
    if setting.trunks:
        missing = [trunk for trunk in setting.trunks if trunk not in per_trunk]
        if missing:
            return Judgement(claim, _open(f"no complete pair on trunk {', '.join(missing)}"), overall, per_trunk)
        return Judgement(claim, block_verdict(per_trunk, overall, claim.margin, direction), overall, per_trunk)
    return Judgement(claim, verdict(overall, claim.margin, direction), overall)


def _open(reason: str) -> Decision:
    return Decision(Verdict.OPEN, reason)


def _intervals(metric: str, found: list[Pair]) -> tuple[dict[str, Interval], Interval]:
    """The difference row - than on each trunk and overall; from match records where they hold the metric."""
    trunks = [pair.trunk for pair in found]
    blocked = any(trunks)
    if metric in get_args(Metric):
        than, row = ([MatchRecords.load(r.folder / "records.npz") for r in side] for side in _sides(found))
        if blocked:
            return blocked_bootstrap(than, row, trunks, metric=metric)  # pyright: ignore[reportArgumentType]
        return {}, paired_bootstrap(than, row, metric=metric)  # pyright: ignore[reportArgumentType]
    differences = [pair.row.metrics[metric] - pair.than.metrics[metric] for pair in found]
    if not blocked:
        return {}, _over(differences)
    members = {
        name: [d for d, t in zip(differences, trunks, strict=True) if t == name] for name in dict.fromkeys(trunks)
    }
    return {k: _over(v) for k, v in members.items()}, _over([sum(v) / len(v) for v in members.values()])


def _sides(found: list[Pair]) -> tuple[list[Result], list[Result]]:
    return [pair.than for pair in found], [pair.row for pair in found]


def _over(differences: Sequence[float]) -> Interval:
    """A number that images can not be drawn for has an interval over seeds only."""
    if len(differences) > 1:
        return t_interval(differences)
    return Interval(mean=differences[0], low=differences[0], high=differences[0], differences=tuple(differences))
