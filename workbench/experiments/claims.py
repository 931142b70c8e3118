"""From the results of a study to a verdict for each of its claims.

Runs are compared in pairs of the same seed and the same trunk. A claim holds or fails only where the interval over
images and seeds lies on one side of its margin, on trunks only where these agree or are of one teacher, and only if
that stands after Holm's correction for all claims of the study: of four claims without any truth one would pass now and
then. What the seeds of a claim vary by is moderated by what those of the whole study vary by (`spread`).

End points beside the first one are a second family, with a correction of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import cast

from workbench.evaluation.intervals import Interval, holm, pvalue
from workbench.evaluation.metrics import METRICS
from workbench.evaluation.verdicts import (
    Decision,
    Verdict,
    block_verdict,
    bound_of,
    by_trunk,
    interval_verdict,
    teacher_verdict,
    teachers_differ,
    verdict_of_all,
)
from workbench.experiments.comparison import difference, difference_per_trunk
from workbench.experiments.forecast import over_seeds, over_trunks
from workbench.experiments.pairing import Pair, Pairing, Results, differences, pairing_of
from workbench.experiments.readings import Read, is_known, resampled_run
from workbench.experiments.spread import RunTable
from workbench.experiments.teachers import Trunks, taught, trunks_of
from workbench.study import MINUS, Better, Cheaper, Contrast, Study, StudyProtocol

ALPHA = 0.05  # chance of a wrong verdict among all claims of a study


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
    pairings = [pairing_of(Contrast((again,), (row,)), results) for again, row in twins]
    return [value for pairing in pairings for value in differences(pairing.pairs, metric)]


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
        among: all claims of the study, those that are decided already included: their rows tell what runs vary by, and
            their end points beside AP are as many chances of a wrong verdict as before.
        read: gives the resampled metric of a run.
    """
    every = claims if among is None else among
    deciding = [one for one in every if not _barred(one, protocol)]
    table = RunTable(frozenset(row for one in deciding for row in one.rows), results, read)
    beside = _judged_beside(claims, every, protocol, table, level)
    return [
        replace(one, beside=tuple(beside[other] for other in _beside(claim)))
        for one, claim in zip(_family(claims, protocol, table, level), claims, strict=True)
    ]


def _beside(claim: Better) -> list[Better]:
    """The same claim of each end point that is judged beside it."""
    return [replace(claim, metric=metric) for metric in claim.judged_beside]


def _judged_beside(
    claims: Sequence[Better], every: Sequence[Better], protocol: StudyProtocol, table: RunTable, level: float
) -> dict[Better, ClaimResult]:
    """The second family, corrected for all that is or ever was in it. None where these claims have no part in it."""
    if not any(map(_beside, claims)):
        return {}
    family = list(dict.fromkeys(other for claim in (*claims, *every) for other in _beside(claim)))
    return dict(zip(family, _family(family, protocol, table, level), strict=True))


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


def _family(claims: Sequence[Better], protocol: StudyProtocol, table: RunTable, level: float) -> list[ClaimResult]:
    """The claims, corrected for each other."""
    found = [_uncorrected(claim, protocol, table) for claim in claims]
    family = [i for i, one in enumerate(found) if one.p is not None]
    values = [cast(float, found[i].p) for i in family]
    hypotheses = [_hypothesis(claims[i]) for i in family]
    statements = {_hypothesis(claims[i]) for i in family if claims[i].part_of}
    for i, adjusted in zip(family, holm(values, hypotheses, statements), strict=True):
        corrected = _corrected(replace(found[i], adjusted=float(adjusted)), claims[i], hypotheses, level)
        found[i] = _with_forecast(corrected, claims[i], protocol, 1 - level / _at_most(claims[i], hypotheses))
    return found


def _at_most(claim: Better, hypotheses: Sequence[str]) -> int:
    """What its p is multiplied by at most, for forecasts: smaller factors come after other verdicts.

    That of a part is as if no other part of its statement were decided.
    """
    parts = hypotheses.count(_hypothesis(claim)) if claim.part_of else 1
    return len(set(hypotheses)) * parts


def _hypothesis(claim: Better) -> str:
    """The place among the claims: parts of a statement take one, and so do bounds of one difference."""
    if claim.part_of:
        return f"{claim.metric}, all of {claim.part_of}"
    ahead, behind = claim.contrast
    return f"{claim.metric}, {min((ahead, behind), (behind, ahead))}"


def _barred(claim: Better, protocol: StudyProtocol) -> str:
    """Why no run under a protocol can decide a claim; empty where they can."""
    if claim.from_scratch and protocol.frozen:
        return "only networks trained whole can decide it, here the trunk was frozen"
    if claim.teacher and protocol.taught not in ("", claim.teacher):
        others = taught(protocol.taught)
        return f"asked of networks taught {taught(claim.teacher)}, here rows begin with one taught {others}"
    if protocol.trunks and not (trunks := trunks_of(claim, protocol)).counted:
        others = " and ".join(map(taught, trunks.beside or {}))
        return f"asked of trunks taught {taught(claim.teacher)}, here they were taught {others}"
    return ""


def _uncorrected(claim: Better, protocol: StudyProtocol, table: RunTable) -> ClaimResult:
    """By its own numbers and the spread of the study."""
    pairing = pairing_of(claim.contrast, table.results)
    judged = _of_pairs(claim, protocol, pairing, table)
    return replace(judged, reason=judged.reason + pairing.left_out)


def _of_pairs(claim: Better, protocol: StudyProtocol, pairing: Pairing, table: RunTable) -> ClaimResult:
    found = pairing.pairs
    if not found and pairing.one_job:
        two = "" if claim.more_than is None else "two of "
        same = f"{two}{_rows(claim)} are one job under {protocol.name}: nothing is compared"
        return ClaimResult(claim, Verdict.OPEN, same)
    if not found:
        return _unmeasured(claim, protocol, f"no pair of {_rows(claim)} is complete")
    if not all(is_known(claim.metric, run) for pair in found for run in pair.runs):
        return _unmeasured(claim, protocol, f"{claim.metric} is not recorded of every run")
    if protocol.trunks:
        return _of_trunks(claim, protocol, found, table)
    overall = difference(claim.metric, found, table.read, table.spread(claim))
    if why := _barred(claim, protocol):
        return ClaimResult(
            claim, Verdict.OPEN, f"{why} ({METRICS[claim.metric].difference(overall.mean, more=1)})", overall
        )
    decision = interval_verdict(overall, claim.margin, claim.metric)
    return ClaimResult(claim, *decision, overall, p=pvalue(overall, _bound(claim)))


def _rows(claim: Better) -> str:
    """The rows of a claim in a sentence."""
    sides = [(row,) for row in claim.rows] if claim.more_than is None else claim.pairs
    return " and ".join(MINUS.join(map(repr, side)) for side in sides)


def _of_trunks(claim: Better, protocol: StudyProtocol, found: Sequence[Pair], table: RunTable) -> ClaimResult:
    """Over the trunks that count, if these are all there; each one and the others beside it."""
    trunks = trunks_of(claim, protocol)
    per_trunk = difference_per_trunk(claim.metric, found, table.read)
    counted = [pair for pair in found if pair.trunk in trunks.counted]
    study = table.spread(claim, trunks.counted) if counted else None
    overall = difference(claim.metric, counted, table.read, study, by_trunk=True) if counted else None
    if why := _barred(claim, protocol):
        numbers = by_trunk(per_trunk, claim.metric)
        return ClaimResult(claim, Verdict.OPEN, f"{why} ({numbers})", overall, per_trunk)
    missing = [trunk for trunk in trunks.needed if trunk not in per_trunk]
    if missing or overall is None:
        unmeasured = _unmeasured(claim, protocol, f"no complete pair on trunk {', '.join(missing)}")
        return replace(unmeasured, interval=overall, per_trunk=per_trunk)
    decision = _over_trunks(claim, trunks, per_trunk, overall)
    return ClaimResult(claim, *decision, overall, per_trunk, pvalue(overall, _bound(claim)))


def _over_trunks(claim: Better, trunks: Trunks, per_trunk: dict[str, Interval], overall: Interval) -> Decision:
    if not trunks.teacher:
        return block_verdict(per_trunk, overall, claim.margin, claim.metric)
    others = trunks.others(per_trunk)
    return teacher_verdict(taught(trunks.teacher), overall, others, claim.margin, claim.metric, trunks.agree)


def _unmeasured(claim: Better, protocol: StudyProtocol, reason: str) -> ClaimResult:
    """Still one of the claims that are corrected for, if it will be one when it is measured."""
    return ClaimResult(claim, Verdict.OPEN, reason, p=None if _barred(claim, protocol) else 1.0)


def _corrected(one: ClaimResult, claim: Better, hypotheses: Sequence[str], level: float) -> ClaimResult:
    """Open unless the verdict stands after the correction; the reason says both p-values."""
    assert one.p is not None and one.adjusted is not None
    if one.p == 1:
        return one
    family, mine = len(set(hypotheses)), hypotheses.count(_hypothesis(claim))
    counted = [f"{family} claims"] * (family > 1)
    if mine > 1:
        counted.append(f"{mine} parts of {claim.part_of}" if claim.part_of else f"{mine} on one difference as one")
    both = f"p {p_text(one.p)}" + f", corrected for {', '.join(counted)} {p_text(one.adjusted)}" * bool(counted)
    if one.verdict is Verdict.OPEN or one.adjusted < level:
        return _with_reason(one, both + f", of {level:g} at this look" * (level != ALPHA))
    alone = f"alone it {one.verdict}, corrected it does not: {both}, not below {level:g}"
    alone += " at this look" * (level != ALPHA)
    return replace(one, verdict=Verdict.OPEN, reason=f"{alone}; {one.reason}")


def p_text(value: float) -> str:
    """A p-value in two digits."""
    return f"{value:.2g}" if value >= 1e-4 else "< 0.0001"


def _with_forecast(one: ClaimResult, claim: Better, protocol: StudyProtocol, level: float) -> ClaimResult:
    """An open claim with what it would take to decide it; nothing where more of the same would not."""
    interval = one.interval
    if one.verdict is not Verdict.OPEN or interval is None or len(interval.differences) < 2:
        return one
    if not protocol.trunks:
        found = over_seeds(interval, _bound(claim), level)
        return replace(_with_reason(one, found.text), wanted=found.seeds)
    trunks, per_trunk = trunks_of(claim, protocol), one.per_trunk or {}
    if not set(trunks.needed) <= set(per_trunk):
        return one
    if trunks.agree and teachers_differ(interval, trunks.others(per_trunk), claim.margin, claim.metric):
        return one
    counted = {name: per_trunk[name] for name in trunks.counted}
    found = over_trunks(counted, interval, _bound(claim), level)
    return replace(_with_reason(one, found.text), wanted=found.seeds)


def _with_reason(one: ClaimResult, more: str) -> ClaimResult:
    return replace(one, reason=f"{one.reason}; {more}")


def _bound(claim: Better) -> float:
    return bound_of(claim.margin, claim.metric)
