"""Until decided: seeds for the rows that a claim is still open on, in place of as many seeds for all.

All rows run with the first seeds, at least two. Then comes a look: the claims are judged. Those that are open, and that
more seeds can decide, get them on both of their rows, and when these have run comes the next look. A claim that has
been decided stays so.

Who looks again and again at numbers with no truth in them, and stops at the first that pleases, is wrong far more often
than one time in twenty. So there are at most `LOOKS` looks, each at that part of the level: by Bonferroni's inequality
all of them together are wrong no more often than one look at the whole level. Within a look Holm's correction goes over
all claims that are not yet decided: as long as none was decided wrongly, every claim without truth is among them.

What has been asked for follows from the results and the terms, which are seeds and jobs. The terms alone are stored, so
that who reads the results later judges them as they were come by:

    HOME/until/NAME.json      the terms of the last command until decided; NAME: study, setting, digest of changes
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, cast

from workbench.core.errors import Refused
from workbench.core.files import write_whole
from workbench.evaluation.verdicts import Decision, Verdict
from workbench.experiments.claims import ClaimResult, Read, Results, judge_claims, resampled_run
from workbench.study import Better, PlannedJob, Study, StudyProtocol
from workbench.training.record import Result

LOOKS = 5
GROWTH = 1.5  # seeds of a look by those of the look before, rounded up: 2, 3, 5, 8, 12
LEAST = 2  # seeds of the first look: one shows no spread

Plan = Callable[[int], list[PlannedJob]]
Find = Callable[[PlannedJob], Result | None]


@dataclass(frozen=True)
class SequentialSettings:
    """Of a study until decided: seeds per row of the first round, and jobs at most (None: twice those of it)."""

    seeds: int
    budget: int | None = None


def plan_name(study: Study, setting: StudyProtocol, sets: Mapping[str, Any] | None = None) -> str:
    """What a study under a setting is called where results are kept: other changes by `sets` are another plan."""
    name = f"{study.name}/{setting.name}"
    if not sets:
        return name
    return f"{name}/{hashlib.sha256(repr(sorted(sets.items(), key=lambda pair: pair[0])).encode()).hexdigest()[:8]}"


def write_settings(home: Path, name: str, terms: SequentialSettings) -> None:
    """Writes down that a study (see `name_of`) is run until decided."""
    with write_whole(home / "until" / f"{name}.json") as part:
        part.write_text(json.dumps(asdict(terms)))


def read_settings(home: Path, name: str) -> SequentialSettings | None:
    """The terms of a study that was run until decided; None if it never was."""
    path = home / "until" / f"{name}.json"
    return SequentialSettings(**json.loads(path.read_text())) if path.exists() else None


@dataclass(frozen=True)
class SequentialState:
    """How far a study until decided has come.

    Fields:
        cells: every cell asked for so far, round by round; jobs: how many different jobs that is, of `budget`.
        claims: the judgements in the order of the study, each as its last look left it.
        looks: taken so far.
        ends: why no more cells are asked for.
    """

    cells: list[PlannedJob]
    jobs: int
    budget: int
    claims: list[ClaimResult]
    looks: int
    ends: str


def follow_looks(
    study: Study,
    setting: StudyProtocol,
    plan: Plan,
    find: Find,
    terms: SequentialSettings,
    *,
    most: int | None = None,
    read: Read = resampled_run,
) -> SequentialState:
    """Follows the looks as far as there are results for them.

    Args:
        plan: every cell of the study with so many seeds per row; find: the result of a cell, None if there is none yet.
        terms: its jobs include those of the first round.
        most: seeds per row at most; None is no limit.
        read: as `judge.verdicts`.

    Raises:
        Refused: a first round of one seed, or one that is above the budget.
    """
    count = terms.seeds
    cells = plan(count)
    room = 2 * _jobs(cells) if terms.budget is None else terms.budget
    _check(count, _jobs(cells), room)
    claims = [ClaimResult(claim, Decision(Verdict.OPEN, "no look yet")) for claim in study.claims]
    for look in range(1, LOOKS + 1):
        results = [(cell, result) for cell in cells if (result := find(cell)) is not None]
        if missing := len(cells) - len(results):
            return SequentialState(
                cells, _jobs(cells), room, claims, look - 1, f"{missing} of {len(cells)} runs are missing"
            )
        claims = _look(claims, setting, results, look, read)
        count = min(math.ceil(GROWTH * count), most or math.inf)
        more, ends = _next(claims, cells, plan(int(count)), room)
        if look == LOOKS or not more:
            ends = "the last look has been taken" if more else ends
            return SequentialState(cells, _jobs(cells), room, claims, look, ends)
        cells = cells + more
    raise AssertionError("the last look returns")


def _check(seeds: int, jobs: int, budget: int) -> None:
    if seeds < LEAST:
        raise Refused(f"--seeds {seeds}: until decided begins with at least {LEAST} seeds, one shows no spread")
    if jobs > budget:
        raise Refused(f"--budget {budget}: the first round alone has {jobs} jobs; give at least so many")


def _look(
    claims: Sequence[ClaimResult], setting: StudyProtocol, results: Results, look: int, read: Read
) -> list[ClaimResult]:
    """The claims after a look. Decided ones are not judged again."""
    undecided = [cast(Better, one.claim) for one in claims if one.decision.state is Verdict.OPEN]
    fresh = iter(judge_claims(undecided, setting, results, LOOKS, read))
    return [_dated(next(fresh), look) if one.decision.state is Verdict.OPEN else one for one in claims]


def _dated(one: ClaimResult, look: int) -> ClaimResult:
    return replace(one, decision=Decision(one.decision.state, f"look {look}: {one.decision.reason}"))


def _next(
    claims: Sequence[ClaimResult], cells: Sequence[PlannedJob], wish: Sequence[PlannedJob], budget: int
) -> tuple[list[PlannedJob], str]:
    """The cells of the next round, or none and why. The claim that needs the fewest seeds is served first."""
    if all(one.decision.state is not Verdict.OPEN for one in claims):
        return [], "every claim is decided"
    helped = sorted((one for one in claims if one.wanted is not None), key=lambda one: one.wanted or 0)
    if not helped:
        return [], "more seeds do not decide what is open"
    have = {(cell.row, cell.seed, cell.trunk) for cell in cells}
    new = [cell for cell in wish if (cell.row, cell.seed, cell.trunk) not in have]
    rows: set[str] = set()
    for one in helped:
        wider = rows | {one.claim.row, one.claim.than}
        if _jobs([*cells, *(cell for cell in new if cell.row in wider)]) <= budget:
            rows = wider
    more = [cell for cell in new if cell.row in rows]
    if rows or not new:
        return more, "no more seeds are on record"
    return [], f"another round is above the budget of {budget} jobs"


def _jobs(cells: Sequence[PlannedJob]) -> int:
    """Different ones: rows may share a job."""
    return len({cell.job.key for cell in cells})


@dataclass(frozen=True)
class Replay:
    """A finished study beside what it would have been until decided.

    Fields:
        jobs, claims: of the study as it was run, judged in one look.
        course: the same until decided, from `LEAST` seeds on and on nothing but the recorded runs.
    """

    jobs: int
    claims: list[ClaimResult]
    course: SequentialState


def replay_looks(
    study: Study, setting: StudyProtocol, plan: Plan, find: Find, seeds: int, read: Read = resampled_run
) -> Replay:
    """What until decided would have saved of a study that has been run with so many seeds.

    Raises:
        Refused: there are no seeds to save, or runs are missing.
    """
    if seeds <= LEAST:
        raise Refused(
            f"{seeds} seeds per row: until decided begins with {LEAST}, so nothing can be saved; "
            f"run the study with --seeds {LEAST + 1} or more and replay that"
        )
    cells = plan(seeds)
    results = [(cell, result) for cell in cells if (result := find(cell)) is not None]
    if len(results) < len(cells):
        raise Refused(f"{len(results)} of {len(cells)} runs are complete: only a finished study can be replayed")
    whole = judge_claims(study.claims, setting, results, 1, read)
    shorter = follow_looks(study, setting, plan, find, SequentialSettings(LEAST, _jobs(cells)), most=seeds, read=read)
    return Replay(_jobs(cells), whole, shorter)
