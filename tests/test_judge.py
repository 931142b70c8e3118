"""Claims are decided by pairs of the same seed and trunk, and stay open where the numbers do not reach."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from workbench.evaluate import MatchRecords
from workbench.judge import Judgement, pairs, verdicts
from workbench.presets import nano
from workbench.run import Result
from workbench.stats import Verdict
from workbench.study import Better, Row, Setting, Study
from workbench.variant import Protocol

IMAGES = 40


def records(found: int) -> MatchRecords:
    """One person and one detection per image; the first `found` are right at every threshold."""
    right = np.repeat((np.arange(IMAGES) < found)[:, None], 10, axis=1)
    return MatchRecords(
        image_ids=np.arange(IMAGES, dtype=np.int64),
        image=np.arange(IMAGES, dtype=np.int32),
        category=np.zeros(IMAGES, np.int16),
        scores=np.linspace(1, 0.5, IMAGES),
        matched=right,
        ignored=np.zeros_like(right),
        positives=np.ones((1, IMAGES), np.int32),
        oks_sum=right[:, 0].astype(float),
        oks_count=np.ones(IMAGES, np.int32),
        error_sum=np.zeros(IMAGES),
        error_count=np.ones(IMAGES, np.int32),
    )


def study(claim: Better) -> Study:
    rows = (Row("a"), Row("b", {"coords.padding": 1.5}))
    return Study(name="s", question="", source="", base=nano(), rows=rows, claims=(claim,))


@pytest.fixture
def judged(tmp_path: Path) -> Callable[..., Judgement]:
    def judge(
        quality: Callable[[str, int, str], int], claim: Better, seeds: int = 3, trunks: tuple[str, ...] = ()
    ) -> Judgement:
        asked, setting = study(claim), Setting("t", "", Protocol(size=(96, 96)), seeds=seeds, trunks=trunks)
        results = []
        for cell in asked.cells(setting):
            found = quality(cell.row, cell.seed, cell.trunk)
            if found >= 0:
                folder = tmp_path / f"{cell.row}{cell.seed}{cell.trunk}"
                folder.mkdir()
                records(found).save(folder / "records.npz")
                metrics = {"AP": found / IMAGES, "gflops": float(found)}
                results.append((cell, Result(cell.job.key, metrics, [], {}, folder)))
        (judgement,) = verdicts(asked, setting, results)
        return judgement

    return judge


CLAIM = Better("C", "a beats b", row="a", than="b")


def test_a_clear_difference_holds_and_its_reverse_fails(judged: Callable[..., Judgement]) -> None:
    def quality(row: str, seed: int, trunk: str) -> int:
        return (32 if row == "a" else 16) + seed

    assert judged(quality, CLAIM).decision.state is Verdict.HOLDS


def test_the_reverse_fails(judged: Callable[..., Judgement]) -> None:
    assert judged(lambda row, seed, trunk: 16 if row == "a" else 32 + seed, CLAIM).decision.state is Verdict.FAILS


def test_one_seed_and_missing_pairs_leave_it_open(judged: Callable[..., Judgement]) -> None:
    one = judged(lambda row, seed, trunk: 32 if row == "a" else 16, CLAIM, seeds=1)
    assert one.decision.state is Verdict.OPEN and "one seed" in one.decision.reason


def test_without_a_pair_it_is_open(judged: Callable[..., Judgement]) -> None:
    none = judged(lambda row, seed, trunk: 32 if (row, seed) in (("a", 0), ("b", 1)) else -1, CLAIM)
    assert none.decision.state is Verdict.OPEN and "no pair" in none.decision.reason


@pytest.mark.parametrize(("second", "state"), [(16, Verdict.HOLDS), (36, Verdict.OPEN)])
def test_trunks_must_agree(judged: Callable[..., Judgement], second: int, state: Verdict) -> None:
    def quality(row: str, seed: int, trunk: str) -> int:
        return 32 if row == "a" else {"x": 15, "y": second, "z": 16}[trunk]

    judgement = judged(quality, CLAIM, trunks=("x", "y", "z"))
    assert judgement.decision.state is state
    assert set(judgement.per_trunk or {}) == {"x", "y", "z"}
    if state is Verdict.OPEN:
        assert "depends on the trunk" in judgement.decision.reason


def test_an_unfinished_trunk_leaves_it_open(judged: Callable[..., Judgement]) -> None:
    def quality(row: str, seed: int, trunk: str) -> int:
        return -1 if trunk == "z" else 32 if row == "a" else 16

    judgement = judged(quality, CLAIM, trunks=("x", "y", "z"))
    assert judgement.decision.state is Verdict.OPEN and "trunk z" in judgement.decision.reason


def test_a_frozen_trunk_can_not_decide_what_needs_training_from_scratch(judged: Callable[..., Judgement]) -> None:
    claim = Better("C", "a beats b", row="a", than="b", from_scratch=True)

    def quality(row: str, seed: int, trunk: str) -> int:
        return 32 if row == "a" else 16

    judgement = judged(quality, claim, trunks=("x", "y"))
    assert judgement.decision.state is Verdict.OPEN and "frozen" in judgement.decision.reason


def test_a_cost_is_better_when_lower(judged: Callable[..., Judgement]) -> None:
    claim = Better("C", "a is cheaper", row="a", than="b", metric="gflops")
    assert judged(lambda row, seed, trunk: 5 if row == "a" else 9, claim).decision.state is Verdict.HOLDS


def test_pairs_are_of_the_same_seed_and_trunk(tmp_path: Path) -> None:
    asked, setting = study(CLAIM), Setting("t", "", Protocol(size=(96, 96)), seeds=2, trunks=("x", "y"))
    results = [(cell, Result(cell.job.key, {}, [], {}, tmp_path)) for cell in asked.cells(setting)][:-1]
    found = pairs(CLAIM, results)
    assert [(pair.trunk, pair.seed) for pair in found] == [("x", 0), ("x", 1), ("y", 0)]
    assert len({pair.row.key for pair in found} | {pair.than.key for pair in found}) == 6
