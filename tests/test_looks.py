"""Until decided: seeds go where a claim is open, the level is shared by the looks, and all follows from the results."""

from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest

from workbench.errors import Refused
from workbench.looks import GROWTH, LEAST, LOOKS, Course, course, replay
from workbench.presets import nano
from workbench.run import Result
from workbench.stats import Verdict
from workbench.study import Better, Cell, Row, Setting, Study
from workbench.variant import Protocol

Value = Callable[[Cell], float | None]
STUDY = Study(
    name="s",
    question="",
    source="",
    base=nano(),
    rows=tuple(Row(label, {"coords.padding": 1.5 + i / 10}) for i, label in enumerate(("base", "clear", "hard", "aa"))),
    claims=(Better("K", "", "clear", "base", "AR"), Better("H", "", "hard", "base", "AR")),
)
NOISE = np.random.default_rng(0).normal(0, 0.01, (4, 40))
GAIN = {"base": 0.0, "clear": 3.0, "hard": 0.02, "aa": 0.0}


def setting(seeds: int = 3, trunks: tuple[str, ...] = ()) -> Setting:
    return Setting("t", "", Protocol(size=(96, 96)), seeds=seeds, trunks=trunks)


def noisy(cell: Cell) -> float:
    """One claim that the first look decides, and one that takes some."""
    return 0.5 + GAIN[cell.row] + NOISE[list(GAIN).index(cell.row), cell.seed]


def found(value: Value) -> Callable[[Cell], Result | None]:
    def find(cell: Cell) -> Result | None:
        number = value(cell)
        return None if number is None else Result(cell.job.key, {"AR": number}, [], {}, Path())

    return find


def follow(value: Value, asked: Setting | None = None, study: Study = STUDY, **options: int) -> Course:
    asked = asked or setting()
    return course(study, asked, lambda n: study.cells(asked, n), found(value), **options)  # pyright: ignore[reportArgumentType]


def rows(of: Course) -> Mapping[str, int]:
    return Counter(cell.row for cell in of.cells)


def test_the_first_round_is_every_row() -> None:
    begun = follow(lambda cell: None)
    assert rows(begun) == {"base": 3, "clear": 3, "hard": 3, "aa": 3}
    assert begun.looks == 0 and begun.ends == "12 of 12 runs are missing"
    assert all(one.decision.state is Verdict.OPEN for one in begun.claims)
    assert rows(follow(lambda cell: None, setting(1)))["base"] == LEAST == 2  # a protocol of one seed


def test_seeds_go_to_both_rows_of_the_open_claim_alone() -> None:
    then = follow(lambda cell: noisy(cell) if cell.seed < 3 else None, budget=1000)
    assert rows(then) == {"base": 5, "clear": 3, "hard": 5, "aa": 3}
    assert [cell.seed for cell in then.cells] == sorted(cell.seed for cell in then.cells)  # rounds stay whole
    assert then.looks == 1 and then.ends == "4 of 16 runs are missing"
    assert then.claims[0].decision.state is Verdict.HOLDS
    assert then.claims[0].decision.reason.startswith("look 1: ")


def test_what_is_asked_for_grows_and_never_changes() -> None:
    """Whatever is complete, in any order: the cells of a longer course begin with those of a shorter one."""
    last: list[Cell] = []
    for complete in range(0, 60):
        done = {(cell.row, cell.seed) for cell in last[:complete]}
        now = follow(lambda cell, d=done: noisy(cell) if (cell.row, cell.seed) in d else None, budget=1000)
        assert now.cells[: len(last)] == last
        last = now.cells
    assert len(last) > 16


def test_it_ends_when_all_is_decided_and_decided_claims_stay() -> None:
    whole = follow(noisy, budget=1000)
    assert whole.ends == "every claim is decided" and 1 < whole.looks <= LOOKS
    assert [one.decision.state for one in whole.claims] == [Verdict.HOLDS] * 2
    # what came later would speak against the claim that the first look decided
    turned = follow(lambda cell: noisy(cell) - 6 * (cell.row == "clear" and cell.seed >= 3), budget=1000)
    assert turned.claims[0] == whole.claims[0]


def test_there_are_no_more_than_five_looks() -> None:
    def stubborn(cell: Cell) -> float:
        """As many seeds as there are, the mean stays at two thirds of what would decide."""
        n = max(k for k in (1, 2, 3, 5, 8, 12, 18) if k <= cell.seed + 1)
        return 0.5 + (cell.row == "hard") * (0.01 + (-1) ** cell.seed * 0.008 * n**0.5) + 3 * (cell.row == "clear")

    ended = follow(stubborn, setting(2), budget=1000)
    assert ended.looks <= LOOKS and max(cell.seed for cell in ended.cells) < 12
    assert GROWTH == 1.5


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

    def value(cell: Cell) -> float | None:
        return None if cell.seed > 2 else {"aa": far, "hard": near}.get(cell.row, (0.0,) * 5)[cell.seed]

    assert rows(follow(value, study=two, budget=16)) == {"base": 5, "clear": 3, "hard": 5, "aa": 3}
    assert rows(follow(value, study=two, budget=20)) == {"base": 5, "clear": 5, "hard": 5, "aa": 5}


def test_what_more_seeds_can_not_decide_gets_none() -> None:
    nothing = follow(lambda cell: 0.5 + 1e-4 * (-1) ** cell.seed * (cell.row != "base"), budget=1000)
    assert rows(nothing)["hard"] == 3 and nothing.ends == "more seeds do not decide what is open"


def test_frozen_trunks_take_no_seeds_for_what_they_can_not_decide() -> None:
    claims = (Better("W", "", "hard", "base", "AR", from_scratch=True), Better("T", "", "clear", "base", "AR"))
    frozen = Study(name="s", question="", source="", base=nano(), rows=STUDY.rows, claims=claims)
    trunks = ("x", "y", "z")

    def value(cell: Cell) -> float | None:
        if cell.seed > 1:
            return None
        apart = 0.3 * trunks.index(cell.trunk) * (cell.row == "clear")
        return 0.5 + apart + 0.001 * cell.seed + 0.05 * (cell.row == "hard") * cell.seed

    ended = follow(value, setting(2, trunks), frozen, budget=1000)
    assert ended.ends == "more seeds do not decide what is open" and ended.jobs == 24
    assert "the trunks differ" in ended.claims[1].decision.reason


def replayed(value: Value, seeds: int):
    asked = setting()
    return replay(STUDY, asked, lambda n: STUDY.cells(asked, n), found(value), seeds)


def test_a_replay_uses_nothing_but_recorded_runs() -> None:
    shown = replayed(lambda cell: noisy(cell) if cell.seed < 12 else None, 12)
    assert shown.jobs == 48 and shown.course.jobs < 40
    assert [a.decision.state for a in shown.claims] == [Verdict.HOLDS] * 2
    assert shown.course.claims[0].decision.state is Verdict.HOLDS
    assert max(cell.seed for cell in shown.course.cells) < 12
    four = replayed(lambda cell: noisy(cell) if cell.seed < 4 else None, 4)
    assert four.course.ends in ("no more seeds are on record", "every claim is decided") or four.course.looks == LOOKS
    with pytest.raises(Refused, match="nothing can be saved"):
        replayed(noisy, 2)
    with pytest.raises(Refused, match="12 of 16 runs are complete"):
        replayed(lambda cell: noisy(cell) if cell.seed < 3 else None, 4)
