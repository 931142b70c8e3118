"""Sequential testing: seeds go where a claim is open, looks share the level, and all follows from the results."""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from workbench.core.errors import Refused
from workbench.evaluation.bootstrap import Resampled
from workbench.evaluation.verdicts import Verdict
from workbench.experiments.claims import ALPHA
from workbench.experiments.plan import SequentialSettings, StudyRun, UntilDecided
from workbench.experiments.sequential import (
    LEVELS,
    LOOKS,
    Replay,
    SequentialState,
    follow_looks,
    needed_jobs,
    other_terms,
    replay_looks,
    settings_of,
)
from workbench.models.job import Protocol
from workbench.models.zoo import nano
from workbench.study import Better, PlannedJob, Row, Study, StudyProtocol
from workbench.training.record import Result

Value = Callable[[PlannedJob], float | None]
STUDY = Study(
    name="s",
    question="",
    source="",
    base=nano(),
    rows=tuple(Row(label, {"coords.padding": 1.5 + i / 10}) for i, label in enumerate(("base", "clear", "hard", "aa"))),
    claims=(Better("K", "", "clear", "base", "AR"), Better("H", "", "hard", "base", "AR")),
)
GAIN = {"base": 0.0, "clear": 3.0, "hard": 0.02, "aa": 0.0}
SPREAD = {"base": 0.0, "clear": 0.001, "hard": 0.018, "aa": 0.0}


def protocol(seeds: int = 3, trunks: tuple[str, ...] = ()) -> StudyProtocol:
    return StudyProtocol("t", "", Protocol(size=(96, 96)), seeds=seeds, trunks=trunks)


def noisy(cell: PlannedJob) -> float:
    """One claim that the first look decides, and one that takes eight seeds. Even seeds are above, odd ones below."""
    return 0.5 + GAIN[cell.row] + SPREAD[cell.row] * (-1) ** cell.seed


def run_of(asked: StudyProtocol, study: Study = STUDY, seeds: int | None = None) -> StudyRun:
    return StudyRun(study, asked, Path(), seeds=seeds)


def found(value: Value) -> Callable[[PlannedJob], Result | None]:
    def find(cell: PlannedJob) -> Result | None:
        number = value(cell)
        return None if number is None else Result(cell.job.key, {"AR": number}, [], {}, Path())

    return find


def follow(
    value: Value,
    asked: StudyProtocol | None = None,
    study: Study = STUDY,
    budget: int | None = None,
    seeds: int | None = None,
) -> SequentialState:
    asked = asked or protocol()
    settings = SequentialSettings(seeds or asked.seeds, budget)
    return follow_looks(run_of(asked, study), settings, find=found(value))


def rows(of: SequentialState) -> Mapping[str, int]:
    return Counter(one.row for one in of.planned)


def test_the_first_round_is_every_row() -> None:
    begun = follow(lambda cell: None)
    assert rows(begun) == {"base": 3, "clear": 3, "hard": 3, "aa": 3}
    assert begun.looks == 0 and begun.ends == "12 of 12 runs are missing"
    assert all(one.verdict is Verdict.OPEN for one in begun.claims)


def test_seeds_go_to_both_rows_of_the_open_claim_alone() -> None:
    then = follow(lambda cell: noisy(cell) if cell.seed < 3 else None, budget=1000)
    assert rows(then) == {"base": 5, "clear": 3, "hard": 5, "aa": 3}
    assert [one.seed for one in then.planned] == sorted(one.seed for one in then.planned)  # rounds stay whole
    assert then.looks == 1 and then.ends == "4 of 16 runs are missing"
    assert then.claims[0].verdict is Verdict.HOLDS
    assert then.claims[0].reason.startswith("look 1: ")


@pytest.mark.slow
def test_what_is_asked_for_grows_and_never_changes() -> None:
    """Whatever is complete, in any order: the jobs of a longer one begin with those of a shorter one."""
    last: list[PlannedJob] = []
    for complete in (0, 5, 12, 13, 16, 17, 22):
        done = {(cell.row, cell.seed) for cell in last[:complete]}
        now = follow(lambda cell, d=done: noisy(cell) if (cell.row, cell.seed) in d else None, budget=1000)
        assert now.planned[: len(last)] == last and now.looks == (complete >= 12) + (complete >= 16) + (complete >= 22)
        last = now.planned
    assert len(last) == 22


def test_it_ends_when_all_is_decided_and_decided_claims_stay() -> None:
    whole = follow(noisy, budget=1000)
    assert whole.ends == "every claim is decided" and whole.looks == 3
    assert whole.claims[1].reason.startswith("look 3: ")
    assert [one.verdict for one in whole.claims] == [Verdict.HOLDS] * 2
    # what came later would speak against the claim that the first look decided
    turned = follow(lambda cell: noisy(cell) - 6 * (cell.row == "clear" and cell.seed >= 3), budget=1000)
    assert turned.claims[0] == whole.claims[0]


def test_there_are_no_more_than_three_looks_each_at_its_own_level() -> None:
    ended = follow(lambda cell: noisy(cell) + 0.010 * (cell.row == "hard") * (-1) ** cell.seed, budget=1000)
    assert ended.looks == LOOKS == 3 and ended.ends == "the last look has been taken"
    assert rows(ended) == {"base": 8, "clear": 3, "hard": 8, "aa": 3}
    assert ended.claims[1].verdict is Verdict.OPEN and ended.claims[1].wanted is not None
    assert ", of 0.022 at this look" in ended.claims[1].reason
    assert sum(LEVELS) == pytest.approx(ALPHA) and list(LEVELS) == sorted(LEVELS)


def test_the_level_of_a_look_is_what_it_decides_at() -> None:
    """Three seeds, p between the levels of the first and the third look: not decided, though 0.05 would decide it."""
    values = (0.010, 0.013, 0.0145)

    def value(cell: PlannedJob) -> float | None:
        return 0.5 + values[cell.seed] * (cell.row == "clear") if cell.seed < 3 else None

    one = replace(STUDY, claims=STUDY.claims[:1])
    begun = follow(value, study=one, budget=1000)
    assert begun.looks == 1 and begun.claims[0].verdict is Verdict.OPEN
    assert "not below 0.01 at this look" in begun.claims[0].reason
    p = begun.claims[0].p
    assert p is not None and LEVELS[0] < p < LEVELS[2]


def test_the_spread_of_decided_rows_counts_in_later_looks() -> None:
    whole = follow(noisy, budget=1000)
    interval = whole.claims[1].interval
    assert interval is not None and interval.freedom > len(interval.differences) - 1  # those of two rows alone


def test_the_budget_is_kept() -> None:
    narrow = follow(noisy, budget=15)
    assert narrow.jobs == 12 and narrow.ends == "another round is above the budget of 15 jobs"
    assert narrow.claims[1].verdict is Verdict.OPEN
    assert follow(noisy, budget=16).jobs == 16
    assert follow(noisy).budget == 24  # twice the first round
    with pytest.raises(Refused, match="--budget 11: the first round alone has 12 jobs"):
        follow(noisy, budget=11)
    few = StudyRun(STUDY, protocol(), Path(), seeds=2, until=UntilDecided())
    with pytest.raises(Refused, match="--seeds 2: until decided begins with at least 3 seeds; give more, or none"):
        settings_of(few)


def test_the_claim_that_needs_least_is_served_first() -> None:
    claims = (Better("F", "", "aa", "clear", "AR"), Better("N", "", "hard", "base", "AR"))
    two = Study(name="s", question="", source="", base=nano(), rows=STUDY.rows, claims=claims)
    far, near = (0.0, 0.05, 0.01, 0.04, 0.0), (0.05, 0.07, 0.01, 0.06, 0.05)

    def value(cell: PlannedJob) -> float | None:
        return None if cell.seed > 2 else {"aa": far, "hard": near}.get(cell.row, (0.0,) * 5)[cell.seed]

    assert rows(follow(value, study=two, budget=16)) == {"base": 5, "clear": 3, "hard": 5, "aa": 3}
    assert rows(follow(value, study=two, budget=20)) == {"base": 5, "clear": 5, "hard": 5, "aa": 5}


def test_what_more_seeds_can_not_decide_gets_none() -> None:
    nothing = follow(lambda cell: 0.5 + (0.1, -0.1, 0.001)[cell.seed] * (cell.row != "base"), budget=1000)
    assert rows(nothing)["hard"] == 3 and nothing.ends == "more seeds do not decide what is open"


def test_frozen_trunks_take_no_seeds_for_what_they_can_not_decide() -> None:
    claims = (Better("W", "", "hard", "base", "AR", from_scratch=True), Better("T", "", "clear", "base", "AR"))
    frozen = Study(name="s", question="", source="", base=nano(), rows=STUDY.rows, claims=claims)
    trunks = ("x", "y", "z")

    def value(cell: PlannedJob) -> float | None:
        if cell.seed > 1:
            return None
        apart = 0.3 * trunks.index(cell.trunk) * (cell.row == "clear")
        return 0.5 + apart + 0.001 * cell.seed + 0.05 * (cell.row == "hard") * cell.seed

    ended = follow(value, protocol(2, trunks), frozen, budget=1000)
    assert ended.ends == "more seeds do not decide what is open" and ended.jobs == 24
    assert "the trunks differ" in ended.claims[1].reason


def replayed(value: Value, seeds: int) -> Replay:
    return replay_looks(run_of(protocol(), seeds=seeds), find=found(value))


def test_a_replay_uses_nothing_but_recorded_runs() -> None:
    shown = replayed(lambda cell: noisy(cell) if cell.seed < 12 else None, 12)
    assert shown.jobs == 48 and shown.shorter.jobs == 22  # 3 seeds of four rows, 5 more of two
    assert [one.verdict for one in shown.claims] == [Verdict.HOLDS] * 2
    assert [one.verdict for one in shown.shorter.claims] == [Verdict.HOLDS] * 2
    four = replayed(lambda cell: noisy(cell) if cell.seed < 4 else None, 4)
    assert four.shorter.ends == "no more seeds are on record" and four.shorter.jobs == 14
    with pytest.raises(Refused, match="nothing can be saved"):
        replayed(noisy, 3)
    with pytest.raises(Refused, match="12 of 16 runs are complete"):
        replayed(lambda cell: noisy(cell) if cell.seed < 3 else None, 4)


def test_settings_are_those_of_one_study_protocol_and_set_of_changes(tmp_path: Path) -> None:
    plain, other, same = (
        StudyRun(STUDY, protocol(), tmp_path, changes=changes)
        for changes in ({}, {"recipe.lr": 0.1}, {"recipe.lr": 0.1})
    )
    plain.write_settings(SequentialSettings(2, 8))
    plain.write_settings(SequentialSettings(3))
    assert plain.read_settings() == SequentialSettings(3) and other.read_settings() is None
    other.write_settings(SequentialSettings(4, 40))
    assert same.read_settings() == SequentialSettings(4, 40) and plain.read_settings() == SequentialSettings(3)


def test_the_terms_of_the_first_command_stay(tmp_path: Path) -> None:
    """Other terms would begin a new course of looks at numbers that have been seen."""
    first, same, other = (
        StudyRun(STUDY, protocol(), tmp_path, seeds=seeds, until=UntilDecided(budget))
        for seeds, budget in ((3, 40), (3, 40), (5, 60))
    )
    asked = SequentialSettings(3, 40)
    assert settings_of(first) == asked and other_terms(first) == ""
    first.write_settings(asked)
    assert settings_of(other) == asked and other_terms(same) == ""
    said = other_terms(other)
    assert "\n" not in said and "3 seeds in the first round and at most 40 jobs" in said
    assert settings_of(replace(other, until=None)) is None and other_terms(replace(other, until=None)) == ""


def test_the_first_round_has_the_seeds_of_the_study_and_at_least_three() -> None:
    asked = protocol(2)
    until = UntilDecided(99)
    for run, seeds in (
        (StudyRun(STUDY, asked, Path(), until=until), 3),  # two decide next to nothing at a part of the level
        (StudyRun(replace(STUDY, default="t", seeds=4), asked, Path(), until=until), 4),
        (StudyRun(STUDY, asked, Path(), seeds=3, until=until), 3),
    ):
        assert settings_of(run) == SequentialSettings(seeds, 99)
        assert len(needed_jobs(run)) == seeds * len(STUDY.rows)
    assert settings_of(run_of(asked, seeds=3)) is None


def test_an_interaction_gets_seeds_on_all_four_rows() -> None:
    rows_of_four = tuple(Row(label, {"coords.padding": 1.5 + i / 10}) for i, label in enumerate("abcde"))
    claims = (Better("I", "", "a", "b", "AR", more_than=("c", "d")), Better("K", "", "e", "b", "AR"))
    study = Study(name="s", question="", source="", base=nano(), rows=rows_of_four, claims=claims)

    def value(cell: PlannedJob) -> float | None:
        noise = 0.018 * (-1) ** cell.seed * (cell.row == "a") + 0.001 * cell.seed * (cell.row == "e")
        return 0.5 + noise + 3.0 * (cell.row == "e") + 0.02 * (cell.row == "a") if cell.seed < 3 else None

    assert rows(follow(value, study=study, budget=1000)) == {"a": 5, "b": 5, "c": 5, "d": 5, "e": 3}


def test_end_points_beside_are_corrected_for_those_of_decided_claims_too() -> None:
    """Both claims have one end point beside AP, which is told at every look; only the second is still open there."""
    study = replace(STUDY, claims=tuple(replace(claim, metric="AP", beside=("mOKS",)) for claim in STUDY.claims))

    def read(result: Result, metric: str) -> Resampled:
        return Resampled(image_ids=np.arange(4), observed=result.metrics["AR"], drawn=np.full(8, result.metrics["AR"]))

    settings = SequentialSettings(3, 1000)
    whole = follow_looks(run_of(protocol(), study), settings, find=found(noisy), read=read)
    assert whole.claims[0].reason.startswith("look 1: ") and whole.claims[1].reason.startswith("look 3: ")
    (beside,) = whole.claims[1].beside
    assert beside.p is not None and "corrected for 2 claims" in beside.reason
    assert whole.claims[1].adjusted == whole.claims[1].p, "of AP it is the only one that is not yet decided"
    (first,) = whole.claims[0].beside
    assert first.p is not None and first.p < beside.p
    assert beside.adjusted == beside.p, "Holm: the clear one takes the larger factor"
