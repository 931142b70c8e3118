"""From the results of a study to a verdict for each of its claims.

Runs are compared in pairs of the same seed and the same trunk. A claim holds or fails only where the interval over
images and seeds lies on one side of its margin, under a probe only where the trunks agree, and only if that stands
after Holm's correction for all claims of the study: of four claims without any truth one would pass now and then.

What the seeds of a claim vary by is moderated by what those of the whole study vary by (`evaluation.moderation`). The
table behind that holds the rows which claims compare that can be decided, and each job once. A row that has never
learnt is left out: it has no variance to speak of.

End points beside the first one are a second family, with a correction of its own.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import cast

import numpy as np

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
from workbench.evaluation.moderation import Residual, residual_of
from workbench.evaluation.records import MatchRecords
from workbench.evaluation.verdicts import (
    FEW,
    Verdict,
    block_verdict,
    bound_of,
    by_trunk,
    interval_verdict,
    verdict_of_all,
)
from workbench.experiments.pairing import Pair, Pairing, Results, arithmetic, block_differences, differences, pairing_of
from workbench.study import Better, Cheaper, Study, StudyProtocol
from workbench.tensors import Floats
from workbench.training.record import Result

Read = Callable[[Result, str], Resampled]
ALPHA = 0.05  # chance of a wrong verdict among all claims of a study
LEARNT = 0.01  # mean AP below which a row has never learnt
_FORECAST = " for 4 chances in 5, were effect and spread as seen"


@dataclass(frozen=True)
class ClaimResult:
    """A claim, what the numbers say of it, and why.

    Fields:
        reason: a sentence with the numbers behind the verdict.
        interval: of the difference; None where nothing could be compared.
        per_trunk: the same on each trunk.
        p: of the margin, from this claim's interval alone; None where no statistic applies.
        adjusted: the same, corrected for all claims of the study; it must be below the level of the look.
        wanted: seeds per row (and trunk) that would decide it, at the seen difference and spread, in 4 cases of 5;
            None: no number of them, or they are not what it takes.
        beside: the same of the end points that are judged beside the first one.
    """

    claim: Better | Cheaper
    verdict: Verdict
    reason: str
    interval: Interval | None = None
    per_trunk: dict[str, Interval] | None = None
    p: float | None = None
    adjusted: float | None = None
    wanted: int | None = None
    beside: tuple[ClaimResult, ...] = ()


def noise_floor(study: Study, results: Results, metric: str = "AP") -> list[float]:
    """What other seeds alone change: each A/A row minus the row that it repeats, per seed and trunk."""
    twins = [
        (again.label, row.label)
        for again in study.rows
        for row in study.rows
        if again.seed_offset and not row.seed_offset and again.changes == row.changes
    ]
    return [value for again, row in twins for value in differences(pairing_of(again, row, results).pairs, metric)]


def resampled_run(result: Result, metric: str) -> Resampled:
    """The resampled metric of a run, from its match records. Computed once per process."""
    path = result.folder / "records.npz"
    if not path.exists():
        raise Refused(f"{path} is missing: {metric} is compared image by image; train that job again")
    return _recorded(path, path.stat().st_mtime_ns, metric)


@lru_cache(maxsize=4096)
def _recorded(path: Path, _: int, metric: str) -> Resampled:
    return resample(MatchRecords.load(path), metric)


@dataclass(frozen=True)
class _Table:
    """The runs of a study as rows by seeds (or trunks), from which its residual is taken once per end point.

    Fields:
        rows: those which claims compare that can be decided.
        blocked: trunks stand in place of seeds.
    """

    rows: frozenset[str]
    blocked: bool
    results: Results
    read: Read
    _known: dict[tuple[str, frozenset[str]], Residual] = field(default_factory=dict)

    def residual(self, claim: Better) -> Residual:
        """What a run varies by, for the end point of a claim. Rows that no claim decides join for their own alone."""
        rows = self.rows | {claim.row, claim.than}
        key = claim.metric, rows
        if key not in self._known:
            self._known[key] = residual_of(self._values(*key))
        return self._known[key]

    def _values(self, metric: str, rows: frozenset[str]) -> Floats:
        """(rows, seeds or trunks), nan where no run is known."""
        cells: dict[tuple[str, str | int], list[float]] = defaultdict(list)
        for one, result in self._counted(rows):
            cells[one.row, one.trunk if self.blocked else one.seed].append(_value(result, metric, self.read))
        labels, blocks = (list(dict.fromkeys(cell[side] for cell in cells)) for side in (0, 1))
        values = np.full((len(labels), len(blocks)), np.nan)
        for (row, block), found in cells.items():
            values[labels.index(row), blocks.index(block)] = np.mean(found)
        return values

    def _counted(self, rows: frozenset[str]) -> Results:
        """Each job of these rows once, those computed as most are, without rows at the floor."""
        mine = {one.job.key: (one, result) for one, result in self.results if one.row in rows}.values()
        ways = Counter(arithmetic(result) for _, result in mine)
        alike = [(one, result) for one, result in mine if ways[arithmetic(result)] == max(ways.values())]
        by_row: dict[str, list[float]] = defaultdict(list)
        for one, result in alike:
            by_row[one.row].append(result.metrics.get("AP", math.inf))
        return [(one, result) for one, result in alike if np.mean(by_row[one.row]) >= LEARNT]


def _value(result: Result, metric: str, read: Read) -> float:
    """On all images; nan where it is not known."""
    if METRICS[metric].resample is not None:
        return read(result, metric).observed
    return result.metrics[metric] if _known(metric, result) else math.nan


def judge_study(study: Study, protocol: StudyProtocol, results: Results) -> list[ClaimResult]:
    """One result per claim, in the order of the study, from one look at its results."""
    return judge_claims(study.claims, protocol, results)


def judge_claims(
    claims: Sequence[Better],
    protocol: StudyProtocol,
    results: Results,
    *,
    level: float = ALPHA,
    among: Sequence[Better] | None = None,
    read: Read = resampled_run,
) -> list[ClaimResult]:
    """One result per claim, corrected for all of them, each with the end points beside it.

    Args:
        level: chance of a wrong verdict among them, where they are judged more than once a part of `ALPHA`.
        among: all claims of the study, those that are decided already included: their rows tell what runs vary by.
        read: gives the resampled metric of a run.
    """
    deciding = [one for one in (claims if among is None else among) if not _frozen(one, protocol)]
    rows = frozenset(label for one in deciding for label in (one.row, one.than))
    table = _Table(rows, bool(protocol.trunks), results, read)
    first = _family(claims, protocol, table, level)
    others = [replace(claim, metric=metric) for claim in claims for metric in claim.judged_beside]
    second = iter(_family(others, protocol, table, level))
    return [
        replace(one, beside=tuple(next(second) for _ in claim.judged_beside))
        for one, claim in zip(first, claims, strict=True)
    ]


@dataclass(frozen=True)
class Statement:
    """What several claims say together: it holds only if all of them do."""

    id: str
    text: str
    verdict: Verdict
    reason: str


def statements(claims: Sequence[Better], verdicts: Sequence[str]) -> list[Statement]:
    """Those which the claims are parts of, from the verdict of each claim."""
    found: list[Statement] = []
    for name in dict.fromkeys(claim.part_of for claim in claims if claim.part_of):
        parts = [(claim, Verdict(verdict)) for claim, verdict in zip(claims, verdicts, strict=True)]
        parts = [(claim, verdict) for claim, verdict in parts if claim.part_of == name]
        text = "; ".join(dict.fromkeys(claim.text for claim, _ in parts))
        found.append(Statement(name, text, *verdict_of_all([verdict for _, verdict in parts])))
    return found


def _family(claims: Sequence[Better], protocol: StudyProtocol, table: _Table, level: float) -> list[ClaimResult]:
    """The claims, corrected for each other."""
    found = [_uncorrected(claim, protocol, table) for claim in claims]
    family = [i for i, one in enumerate(found) if one.p is not None]
    values = [cast(float, found[i].p) for i in family]
    places = [_place(claims[i]) for i in family]
    share = 1 - level / max(1, len(set(places)))  # of forecasts: Holm's smaller factors come after other verdicts
    for i, adjusted in zip(family, holm(values, places), strict=True):
        corrected = _corrected(replace(found[i], adjusted=float(adjusted)), claims[i], places, level)
        found[i] = _with_forecast(corrected, protocol, share)
    return found


def _place(claim: Better) -> str:
    """Parts of a statement take one place among the claims."""
    return f"{claim.metric}, all of {claim.part_of}" if claim.part_of else f"{claim.metric}, {claim.id}"


def _frozen(claim: Better, protocol: StudyProtocol) -> bool:
    return claim.from_scratch and protocol.frozen


def _uncorrected(claim: Better, protocol: StudyProtocol, table: _Table) -> ClaimResult:
    """By its own numbers and the spread of the study."""
    pairing = pairing_of(claim.row, claim.than, table.results)
    judged = _of_pairs(claim, protocol, pairing, table)
    return replace(judged, reason=judged.reason + pairing.left_out)


def _of_pairs(claim: Better, protocol: StudyProtocol, pairing: Pairing, table: _Table) -> ClaimResult:
    found = pairing.pairs
    if not found and pairing.one_job:
        same = f"{claim.row!r} and {claim.than!r} are one job under {protocol.name}: nothing is compared"
        return ClaimResult(claim, Verdict.OPEN, same)
    if not found:
        return _unmeasured(claim, protocol, f"no pair of {claim.row!r} and {claim.than!r} is complete")
    if not all(_known(claim.metric, run) for pair in found for run in (pair.row, pair.than)):
        return _unmeasured(claim, protocol, f"{claim.metric} is not recorded of every run")
    per_trunk, overall = _intervals(claim.metric, found, table.read, table.residual(claim))
    p = pvalue(overall, _bound(claim))
    if not protocol.trunks:
        return ClaimResult(claim, *interval_verdict(overall, claim.margin, claim.metric), overall, p=p)
    if _frozen(claim, protocol):
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
    return ClaimResult(claim, Verdict.OPEN, reason, p=None if _frozen(claim, protocol) else 1.0)


def _corrected(one: ClaimResult, claim: Better, places: Sequence[str], level: float) -> ClaimResult:
    """Open unless the verdict stands after the correction; the reason says both p-values."""
    assert one.p is not None and one.adjusted is not None
    if one.p == 1:
        return one
    family, parts = len(set(places)), places.count(_place(claim))
    counted = [f"{family} claims"] * (family > 1) + [f"{parts} parts of {claim.part_of}"] * (parts > 1)
    both = f"p {p_text(one.p)}" + f", corrected for {' and '.join(counted)} {p_text(one.adjusted)}" * bool(counted)
    if one.verdict is Verdict.OPEN or one.adjusted < level:
        return _with_reason(one, both + f", of {level:g} at this look" * (level != ALPHA))
    alone = f"alone it {one.verdict}, corrected it does not: {both}, not below {level:g}"
    alone += " at this look" * (level != ALPHA)
    return replace(one, verdict=Verdict.OPEN, reason=f"{alone}; {one.reason}")


def p_text(value: float) -> str:
    """A p-value in two digits."""
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
    return f"would take about {count} {what}{_FORECAST}"


def _outlook(seeds: int | None, images: float | None) -> str:
    if seeds is not None:
        return _takes(seeds, "seeds") + (
            f"; or {images:.1f} times the images" if images else "; more images would not do"
        )
    if images is not None:
        return f"would take about {images:.1f} times the images{_FORECAST}; more seeds would not do"
    return _takes(None, "seeds or times the images")


def _with_reason(one: ClaimResult, more: str) -> ClaimResult:
    return replace(one, reason=f"{one.reason}; {more}")


def _bound(claim: Better) -> float:
    return bound_of(claim.margin, claim.metric)


def _known(metric: str, run: Result) -> bool:
    """Whether a run tells it. COCO's -1 says that no person counts."""
    value = run.metrics.get(metric, math.nan)
    return METRICS[metric].resample is not None or (math.isfinite(value) and value != UNDEFINED)


def _intervals(metric: str, found: list[Pair], read: Read, study: Residual) -> tuple[dict[str, Interval], Interval]:
    """The difference row - than on each trunk and overall; image by image where match records hold the metric."""
    trunks = [pair.trunk for pair in found]
    blocked = any(trunks)
    if METRICS[metric].resample is not None:
        than, row = ([read(run, metric) for run in side] for side in _sides(found))
        if blocked:
            return blocked_bootstrap(than, row, trunks, study=study)
        return {}, paired_bootstrap(than, row, study=study)
    if not blocked:
        return {}, _over(differences(found, metric), study)
    members = {name: [pair for pair in found if pair.trunk == name] for name in dict.fromkeys(trunks)}
    per_trunk = {name: _over(differences(mine, metric)) for name, mine in members.items()}
    return per_trunk, _over(block_differences(found, metric), study)


def _sides(found: list[Pair]) -> tuple[list[Result], list[Result]]:
    return [pair.than for pair in found], [pair.row for pair in found]


def _over(differences: Sequence[float], study: Residual | None = None) -> Interval:
    """A number that images can not be drawn for has an interval over seeds only."""
    if len(differences) > 1:
        return t_interval(differences, study=study)
    return Interval(mean=differences[0], low=differences[0], high=differences[0], differences=tuple(differences))
