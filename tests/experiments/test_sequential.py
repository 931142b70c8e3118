"""Until decided: seeds go where a claim is open, the level is shared by the looks, and all follows from the results."""

from collections import Counter
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path

import pytest

from workbench.core.errors import Refused
from workbench.evaluation.verdicts import Verdict
from workbench.experiments.sequential import (
    LOOKS,
    Replay,
    SequentialSettings,
    SequentialState,
    follow_looks,
    plan_name,
    read_settings,
    replay_looks,
    write_settings,
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
SPREAD = {"base": 0.0, "clear": 0.001, "hard": 0.012, "aa": 0.0}


def setting(seeds: int = 3, trunks: tuple[str, ...] = ()) -> StudyProtocol:
    return StudyProtocol("t", "", Protocol(size=(96, 96)), seeds=seeds, trunks=trunks)


def noisy(cell: PlannedJob) -> float:
    """One claim that the first look decides, and one that takes eight seeds. Even seeds are above, odd ones below."""
    return 0.5 + GAIN[cell.row] + SPREAD[cell.row] * (-1) ** cell.seed


@cache
def cells(trunks: tuple[str, ...], seeds: int) -> list[PlannedJob]:
    """All studies here have the same rows."""
    return STUDY.cells(setting(seeds, trunks))


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
    asked = asked or setting()
    return follow_looks(
        study, asked, lambda n: cells(asked.trunks, n), found(value), SequentialSettings(seeds or asked.seeds, budget)
    )


def rows(of: SequentialState) -> Mapping[str, int]:
    return Counter(cell.row for cell in of.cells)


def test_the_first_round_is_every_row() -> None:
    begun = follow(lambda cell: None)
    assert rows(begun) == {"base": 3, "clear": 3, "hard": 3, "aa": 3}
    assert begun.looks == 0 and begun.ends == "12 of 12 runs are missing"
    assert all(one.decision.state is Verdict.OPEN for one in begun.claims)


def test_seeds_go_to_both_rows_of_the_open_claim_alone() -> None:
    then = follow(lambda cell: noisy(cell) if cell.seed < 3 else None, budget=1000)
    assert rows(then) == {"base": 5, "clear": 3, "hard": 5, "aa": 3}
    assert [cell.seed for cell in then.cells] == sorted(cell.seed for cell in then.cells)  # rounds stay whole
    assert then.looks == 1 and then.ends == "4 of 16 runs are missing"
    assert then.claims[0].decision.state is Verdict.HOLDS
    assert then.claims[0].decision.reason.startswith("look 1: ")


def test_what_is_asked_for_grows_and_never_changes() -> None:
    """Whatever is complete, in any order: the cells of a longer course begin with those of a shorter one."""
    last: list[PlannedJob] = []
    for complete in (0, 5, 12, 13, 16, 17, 22):
        done = {(cell.row, cell.seed) for cell in last[:complete]}
        now = follow(lambda cell, d=done: noisy(cell) if (cell.row, cell.seed) in d else None, budget=1000)
        assert now.cells[: len(last)] == last and now.looks == (complete >= 12) + (complete >= 16) + (complete >= 22)
        last = now.cells
    assert len(last) == 22


def test_it_ends_when_all_is_decided_and_decided_claims_stay() -> None:
    whole = follow(noisy, budget=1000)
    assert whole.ends == "every claim is decided" and whole.looks == 3
    assert whole.claims[1].decision.reason.startswith("look 3: ")
    assert [one.decision.state for one in whole.claims] == [Verdict.HOLDS] * 2
    # what came later would speak against the claim that the first look decided
    turned = follow(lambda cell: noisy(cell) - 6 * (cell.row == "clear" and cell.seed >= 3), budget=1000)
    assert turned.claims[0] == whole.claims[0]


def test_there_are_no_more_than_five_looks() -> None:
    ended = follow(lambda cell: noisy(cell) + 0.016 * (cell.row == "hard") * (-1) ** cell.seed, setting(2), budget=1000)
    assert ended.looks == LOOKS == 5 and ended.ends == "the last look has been taken"
    assert rows(ended) == {"base": 12, "clear": 2, "hard": 12, "aa": 2}
    assert ended.claims[1].decision.state is Verdict.OPEN and ended.claims[1].wanted is not None
    assert "corrected for 5 looks" in ended.claims[1].decision.reason


def test_the_budget_is_kept() -> None:
    narrow = follow(noisy, budget=15)
    assert narrow.jobs == 12 and narrow.ends == "another round is above the budget of 15 jobs"
    assert narrow.claims[1].decision.state is Verdict.OPEN
    assert follow(noisy, budget=16).jobs == 16
    assert follow(noisy).budget == 24  # twice the first round
    with pytest.raises(Refused, match="--budget 11: the first round alone has 12 jobs"):
        follow(noisy, budget=11)
    with pytest.raises(Refused, match="--seeds 1: until decided begins with at least 2 seeds"):
        follow(noisy, seeds=1)


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

    ended = follow(value, setting(2, trunks), frozen, budget=1000)
    assert ended.ends == "more seeds do not decide what is open" and ended.jobs == 24
    assert "the trunks differ" in ended.claims[1].decision.reason


def replayed(value: Value, seeds: int) -> Replay:
    return replay_looks(STUDY, setting(), lambda n: cells((), n), found(value), seeds)


def test_a_replay_uses_nothing_but_recorded_runs() -> None:
    shown = replayed(lambda cell: noisy(cell) if cell.seed < 12 else None, 12)
    assert shown.jobs == 48 and shown.course.jobs == 20  # 2 seeds of four rows, 6 more of two
    assert [one.decision.state for one in shown.claims] == [Verdict.HOLDS] * 2
    assert [one.decision.state for one in shown.course.claims] == [Verdict.HOLDS] * 2
    four = replayed(lambda cell: noisy(cell) if cell.seed < 4 else None, 4)
    assert four.course.ends == "no more seeds are on record" and four.course.jobs == 12
    with pytest.raises(Refused, match="nothing can be saved"):
        replayed(noisy, 2)
    with pytest.raises(Refused, match="12 of 16 runs are complete"):
        replayed(lambda cell: noisy(cell) if cell.seed < 3 else None, 4)


def test_the_terms_are_those_of_one_study_setting_and_set_of_changes(tmp_path: Path) -> None:
    other = {"recipe.lr": 0.1}
    write_settings(tmp_path, plan_name(STUDY, setting()), SequentialSettings(2, 8))
    write_settings(tmp_path, plan_name(STUDY, setting()), SequentialSettings(3))
    assert read_settings(tmp_path, plan_name(STUDY, setting(), {})) == SequentialSettings(3)
    assert read_settings(tmp_path, plan_name(STUDY, setting(), other)) is None
    write_settings(tmp_path, plan_name(STUDY, setting(), other), SequentialSettings(4, 40))
    assert read_settings(tmp_path, plan_name(STUDY, setting(), dict(other))) == SequentialSettings(4, 40)
    assert read_settings(tmp_path, plan_name(STUDY, setting())) == SequentialSettings(3)
