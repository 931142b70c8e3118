"""Sequential testing: seeds are added until a claim is decided, and only to its rows.

All rows run with the first seeds, at least three: two decide next to nothing at a part of the level. Then the claims
are judged: that is a look. Those that are open, and that more seeds can decide, get them on all of their rows, and
when these have run comes the next look. A claim that has been decided stays so.

Whoever judges chance numbers again and again, and stops at the first verdict that pleases, is wrong far more often than
one time in twenty. So there are three looks, each at a part of the level, small at first: by Bonferroni's inequality
all of them together are wrong no more often than one look at the whole level. Within a look Holm's correction goes over
all claims that are not yet decided: as long as none was decided wrongly, every claim without truth is among them. The
end points beside them are told again at every look, so there it goes over those of all claims.

Which jobs are needed follows from the results and the settings alone, so only the settings are stored (see `StudyRun`):
those of the first command. Other ones would begin a new course of looks at numbers that have been seen.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import cast

from workbench.core.errors import Refused
from workbench.evaluation.verdicts import Verdict
from workbench.experiments.claims import ClaimResult, judge_claims
from workbench.experiments.pairing import Results
from workbench.experiments.plan import SequentialSettings, StudyRun, UntilDecided
from workbench.experiments.readings import Read, resampled_run
from workbench.study import Better, PlannedJob, with_starts
from workbench.training.record import Result

LEVELS = (0.010, 0.018, 0.022)  # of the looks; together `claims.ALPHA`
LOOKS = len(LEVELS)
GROWTH = 1.6  # seeds of a look by those of the look before, rounded up: 3, 5, 8
LEAST_SEEDS = 3  # seeds of the first look

Find = Callable[[PlannedJob], Result | None]


def settings_of(run: StudyRun) -> SequentialSettings | None:
    """How a run adds seeds; None if it adds none. The terms of its first command stay.

    Raises:
        Refused: a first command with too few seeds.
    """
    if run.until is None:
        return None
    return run.read_settings() or _asked(run, run.until)


def other_terms(run: StudyRun) -> str:
    """In one line, that a command asks for other terms than those which stay; empty if it does not."""
    first = run.read_settings()
    if run.until is None or first is None or first == _asked(run, run.until):
        return ""
    most = "twice those jobs" if first.budget is None else f"{first.budget} jobs"
    return (
        f"until decided: goes on with the terms of its first command, {first.seeds} seeds in the first round and at "
        f"most {most}; with other terms the looks at these numbers would begin anew"
    )


def _asked(run: StudyRun, until: UntilDecided) -> SequentialSettings:
    """What the command asks for. It begins with at least `LEAST_SEEDS` where no number is given."""
    seeds = max(LEAST_SEEDS, run.seed_count) if run.seeds is None else run.seeds
    if seeds < LEAST_SEEDS:
        raise Refused(f"--seeds {seeds}: until decided begins with at least {LEAST_SEEDS} seeds; give more, or none")
    return SequentialSettings(seeds, until.budget)


def needed_jobs(run: StudyRun) -> list[PlannedJob]:
    """Every job of a run; until decided, those that follow from what is complete."""
    settings = settings_of(run)
    return run.jobs() if settings is None else follow_looks(run, settings).planned


@dataclass(frozen=True)
class SequentialState:
    """How far a study until decided has come.

    Fields:
        planned: every job asked for so far, round by round; jobs: how many different ones that is, of `budget`.
        claims: a result per claim, in the order of the study, each as its last look left it.
        looks: taken so far.
        ends: why no more jobs are asked for.
    """

    planned: list[PlannedJob]
    jobs: int
    budget: int
    claims: list[ClaimResult]
    looks: int
    ends: str


def follow_looks(
    run: StudyRun,
    settings: SequentialSettings,
    *,
    find: Find | None = None,
    most: int | None = None,
    read: Read = resampled_run,
) -> SequentialState:
    """Takes the looks as far as there are results for them.

    Args:
        settings: its jobs include those of the first round.
        find: the result of a job, None if there is none yet; without it results are those of the run's folders.
        most: seeds per row at most; None is no limit.
        read: as in `judge_claims`.

    Raises:
        Refused: a first round that is above the budget.
    """
    count, find = settings.seeds, find or run.result
    planned = run.jobs(count)
    budget = 2 * _different(planned) if settings.budget is None else settings.budget
    if _different(planned) > budget:
        raise Refused(f"--budget {budget}: the first round alone has {_different(planned)} jobs; give at least so many")
    claims = [ClaimResult(claim, Verdict.OPEN, "no look yet") for claim in run.study.claims]
    for look in range(1, LOOKS + 1):
        results = [(job, result) for job in planned if (result := find(job)) is not None]
        if missing := len(planned) - len(results):
            ends = f"{missing} of {len(planned)} runs are missing"
            return SequentialState(planned, _different(planned), budget, claims, look - 1, ends)
        claims = _look(claims, run, results, look, read)
        count = min(math.ceil(GROWTH * count), most or math.inf)
        more, ends = _next(claims, planned, run.jobs(int(count)), budget)
        if look == LOOKS or not more:
            ends = "the last look has been taken" if more else ends
            return SequentialState(planned, _different(planned), budget, claims, look, ends)
        planned = planned + more
    raise AssertionError("the last look returns")


def _look(claims: Sequence[ClaimResult], run: StudyRun, results: Results, look: int, read: Read) -> list[ClaimResult]:
    """The claims after a look. Decided ones are not judged again."""
    undecided = [cast(Better, one.claim) for one in claims if one.verdict is Verdict.OPEN]
    level, among = LEVELS[look - 1], run.study.claims
    fresh = iter(judge_claims(undecided, run.protocol, results, level=level, among=among, read=read))
    return [_dated(next(fresh), look) if one.verdict is Verdict.OPEN else one for one in claims]


def _dated(one: ClaimResult, look: int) -> ClaimResult:
    return replace(one, reason=f"look {look}: {one.reason}")


def _next(
    claims: Sequence[ClaimResult], planned: Sequence[PlannedJob], wish: Sequence[PlannedJob], budget: int
) -> tuple[list[PlannedJob], str]:
    """The jobs of the next round, or none and why. The claim that needs the fewest seeds is served first."""
    if all(one.verdict is not Verdict.OPEN for one in claims):
        return [], "every claim is decided"
    helped = sorted((one for one in claims if one.wanted is not None), key=lambda one: one.wanted or 0)
    if not helped:
        return [], "more seeds do not decide what is open"
    have = {(job.row, job.seed, job.trunk) for job in planned}
    new = [job for job in wish if (job.row, job.seed, job.trunk) not in have]
    rows: set[str] = set()
    for one in helped:
        wider = rows.union(one.claim.rows)
        if _different([*planned, *(job for job in new if job.row in wider)]) <= budget:
            rows = wider
    more = [job for job in new if job.row in rows]
    if rows or not new:
        return more, "no more seeds are on record"
    return [], f"another round is above the budget of {budget} jobs"


def _different(planned: Sequence[PlannedJob]) -> int:
    """How many different ones, those included which they begin with: rows may share a job."""
    return len({one.job.key for one in with_starts(planned)})


@dataclass(frozen=True)
class Replay:
    """A finished study beside what it would have been until decided.

    Fields:
        jobs, claims: of the study as it was run, judged in one look.
        shorter: the same until decided, from `LEAST_SEEDS` seeds on and on nothing but the recorded runs.
    """

    jobs: int
    claims: list[ClaimResult]
    shorter: SequentialState


def replay_looks(run: StudyRun, *, find: Find | None = None, read: Read = resampled_run) -> Replay:
    """What until decided would have saved of a study that has been run with all its seeds.

    Args:
        find, read: as in `follow_looks`.

    Raises:
        Refused: there are no seeds to save, or runs are missing.
    """
    seeds = run.seed_count
    if seeds <= LEAST_SEEDS:
        raise Refused(
            f"{seeds} seeds per row: until decided begins with {LEAST_SEEDS}, so nothing can be saved; "
            f"run the study with --seeds {LEAST_SEEDS + 1} or more and replay that"
        )
    planned, find = run.jobs(), find or run.result
    results = [(job, result) for job in planned if (result := find(job)) is not None]
    if len(results) < len(planned):
        raise Refused(f"{len(results)} of {len(planned)} runs are complete: only a finished study can be replayed")
    whole = judge_claims(run.study.claims, run.protocol, results, read=read)
    settings = SequentialSettings(LEAST_SEEDS, _different(planned))
    return Replay(_different(planned), whole, follow_looks(run, settings, find=find, most=seeds, read=read))
