"""Claims are decided by pairs of the same seed and trunk, and stay open where the numbers do not reach."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.added import ADDED
from tests.matched import IMAGES, records
from workbench.core.errors import Refused
from workbench.evaluation.bootstrap import Resampled
from workbench.evaluation.metrics import Metric
from workbench.evaluation.verdicts import Verdict
from workbench.experiments.claims import ALPHA, ClaimResult, judge_study, pairs, resampled_run
from workbench.experiments.claims import judge_claims as judged_in
from workbench.models.job import Protocol
from workbench.models.zoo import nano
from workbench.study import Better, Row, Study, StudyProtocol
from workbench.training.record import Result


def study(claim: Better) -> Study:
    rows = (Row("a"), Row("b", {"coords.padding": 1.5}))
    return Study(name="s", question="", source="", base=nano(), rows=rows, claims=(claim,))


@pytest.fixture
def judged(tmp_path: Path) -> Callable[..., ClaimResult]:
    def judge(
        quality: Callable[[str, int, str], int], claim: Better, seeds: int = 3, trunks: tuple[str, ...] = ()
    ) -> ClaimResult:
        asked, setting = study(claim), StudyProtocol("t", "", Protocol(size=(96, 96)), seeds=seeds, trunks=trunks)
        results = []
        for cell in asked.planned_jobs(setting):
            found = quality(cell.row, cell.seed, cell.trunk)
            if found >= 0:
                folder = tmp_path / f"{cell.row}{cell.seed}{cell.trunk}"
                folder.mkdir()
                records(found).save(folder / "records.npz")
                metrics = {"AP": found / IMAGES}
                results.append((cell, Result(cell.job.key, metrics, [], {}, folder)))
        (judgement,) = judge_study(asked, setting, results)
        return judgement

    return judge


CLAIM = Better("C", "a beats b", row="a", than="b", metric="mOKS")  # of these records the same as AP, and faster


def test_a_clear_difference_holds_and_its_reverse_fails(judged: Callable[..., ClaimResult]) -> None:
    def quality(row: str, seed: int, trunk: str) -> int:
        return (32 if row == "a" else 16) + seed

    assert judged(quality, replace(CLAIM, metric="AP")).verdict is Verdict.HOLDS


def test_the_reverse_fails(judged: Callable[..., ClaimResult]) -> None:
    assert judged(lambda row, seed, trunk: 16 if row == "a" else 32 + seed, CLAIM).verdict is Verdict.FAILS


def test_one_seed_and_missing_pairs_leave_it_open(judged: Callable[..., ClaimResult]) -> None:
    one = judged(lambda row, seed, trunk: 32 if row == "a" else 16, CLAIM, seeds=1)
    assert one.verdict is Verdict.OPEN and "one seed" in one.reason


def test_without_a_pair_it_is_open(judged: Callable[..., ClaimResult]) -> None:
    none = judged(lambda row, seed, trunk: 32 if (row, seed) in (("a", 0), ("b", 1)) else -1, CLAIM)
    assert none.verdict is Verdict.OPEN and "no pair" in none.reason


@pytest.mark.parametrize(("second", "state"), [(16, Verdict.HOLDS), (36, Verdict.OPEN)])
def test_trunks_must_agree(judged: Callable[..., ClaimResult], second: int, state: Verdict) -> None:
    def quality(row: str, seed: int, trunk: str) -> int:
        return 32 if row == "a" else {"x": 15, "y": second, "z": 16}[trunk]

    judgement = judged(quality, CLAIM, trunks=("x", "y", "z"))
    assert judgement.verdict is state
    assert set(judgement.per_trunk or {}) == {"x", "y", "z"}
    if state is Verdict.OPEN:
        assert f"depends on the trunk: x +42.50, y -10.00, z +40.00 {CLAIM.metric};" in judgement.reason


def test_an_unfinished_trunk_leaves_it_open(judged: Callable[..., ClaimResult]) -> None:
    def quality(row: str, seed: int, trunk: str) -> int:
        return -1 if trunk == "z" else 32 if row == "a" else 16

    judgement = judged(quality, CLAIM, trunks=("x", "y", "z"))
    assert judgement.verdict is Verdict.OPEN and "trunk z" in judgement.reason


def test_a_frozen_trunk_can_not_decide_what_needs_training_from_scratch(judged: Callable[..., ClaimResult]) -> None:
    claim = replace(CLAIM, from_scratch=True)

    def quality(row: str, seed: int, trunk: str) -> int:
        return 32 if row == "a" else 16

    judgement = judged(quality, claim, trunks=("x", "y"))
    assert judgement.verdict is Verdict.OPEN and "frozen" in judgement.reason


def test_two_identical_rows_are_open_with_a_difference_of_zero(judged: Callable[..., ClaimResult]) -> None:
    judgement = judged(lambda row, seed, trunk: 20 + 3 * seed, CLAIM)
    assert judgement.verdict is Verdict.OPEN and judgement.p == 1
    assert judgement.interval is not None
    assert (judgement.interval.low, judgement.interval.mean, judgement.interval.high) == (0, 0, 0)
    assert "practically undecidable" in judgement.reason
    assert "difference +0.00 mOKS" in judgement.reason


def test_two_rows_of_other_seeds_alone_are_open(judged: Callable[..., ClaimResult]) -> None:
    again = {"a": (20, 17, 23), "b": (18, 21, 22)}
    assert judged(lambda row, seed, trunk: again[row][seed], CLAIM).verdict is Verdict.OPEN


def test_both_intervals_are_told(judged: Callable[..., ClaimResult]) -> None:
    reason = judged(lambda row, seed, trunk: (21 if row == "a" else 19) + seed * (row == "a"), CLAIM).reason
    assert "other images" in reason and "other seeds" in reason and "3 seeds say little of others" in reason


def measured(
    differences: Sequence[Sequence[float]], metric: str = "AR", trunks: tuple[str, ...] = (), **claim: Any
) -> list[ClaimResult]:
    """One claim per list, of that difference in each seed (or trunk by trunk): a row of its own against row a."""
    rows = tuple(Row(f"r{i}", {"coords.padding": 1.5 + i}) for i in range(len(differences)))
    claims = tuple(Better(f"C{i}", "", f"r{i}", "a", metric, **claim) for i in range(len(differences)))
    asked = Study(name="s", question="", source="", base=nano(), rows=(Row("a"), *rows), claims=claims)
    repeats = len(differences[0]) // max(1, len(trunks))
    setting = StudyProtocol("t", "", Protocol(size=(96, 96)), seeds=repeats, trunks=trunks)
    results = []
    for cell in asked.planned_jobs(setting):
        block = trunks.index(cell.trunk) * repeats if trunks else 0
        value = 0.0 if cell.row == "a" else differences[int(cell.row[1:])][block + cell.seed]
        results.append((cell, Result(cell.job.key, {metric: 0.5 + value}, [], {}, Path())))
    return judge_study(asked, setting, results)


HARDLY, CLEAR, NOTHING = (0.010, 0.013, 0.016), (0.100, 0.101, 0.102), (0.010, -0.020, 0.010)


def test_claims_are_corrected_together() -> None:
    """p 0.017 decides alone and beside a clear claim, which takes the larger factor; not as the smaller of two."""
    (alone,) = measured([HARDLY])
    assert alone.verdict is Verdict.HOLDS and alone.p is not None and 0.0125 < alone.p < ALPHA / 2
    beside_clear = measured([HARDLY, CLEAR])
    assert [one.verdict for one in beside_clear] == [Verdict.HOLDS] * 2
    beside_others = measured([HARDLY, NOTHING, NOTHING])
    first = beside_others[0]
    assert [one.verdict for one in beside_others] == [Verdict.OPEN] * 3
    assert first.adjusted == pytest.approx(3 * alone.p)
    assert f"alone it holds, corrected it does not: p {alone.p:.2g}, corrected for 3 claims {3 * alone.p:.2g}" in (
        first.reason
    )


def test_what_no_statistic_decides_does_not_count_among_the_claims() -> None:
    frozen = measured([HARDLY, NOTHING, NOTHING], trunks=("x", "y", "z"), from_scratch=True)
    assert [one.p for one in frozen] == [None] * 3


def test_the_p_value_is_of_the_margin() -> None:
    (over,) = measured([CLEAR], margin=0.09)
    (under,) = measured([CLEAR], margin=0.2)
    (near,) = measured([CLEAR], margin=0.1005)
    assert [one.verdict for one in (over, under, near)] == [Verdict.HOLDS, Verdict.FAILS, Verdict.OPEN]
    assert near.p is not None and near.p > 0.05
    (small,) = measured([[-d for d in CLEAR]], margin=-0.11)  # not worse by more than that
    assert small.verdict is Verdict.HOLDS


@pytest.mark.parametrize(("error", "state"), [(0.1, Verdict.HOLDS), (0.3, Verdict.FAILS)])
def test_a_smaller_error_is_better(error: float, state: Verdict) -> None:
    asked, setting = study(replace(CLAIM, metric="NME")), StudyProtocol("t", "", Protocol(size=(96, 96)), seeds=3)
    results = [(cell, Result(cell.row, {}, [], {}, Path())) for cell in asked.planned_jobs(setting)]

    def read(result: Result, metric: str) -> Resampled:
        value = error if result.key == "a" else 0.2
        return Resampled(image_ids=np.arange(4), observed=value, drawn=np.full(10, value))

    (judgement,) = judged_in(asked.claims, setting, results, read=read)
    assert judgement.verdict is state


def test_looks_share_the_level() -> None:
    asked = Study(name="s", question="", source="", base=nano(), rows=(Row("a"), Row("b", {"coords.padding": 1.5})))
    setting, claim = StudyProtocol("t", "", Protocol(size=(96, 96)), seeds=3), Better("C", "", "b", "a", "AR")
    results = [
        (cell, Result(cell.job.key, {"AR": HARDLY[cell.seed] * (cell.row == "b")}, [], {}, Path()))
        for cell in asked.planned_jobs(setting)
    ]
    once, often = (judged_in([claim], setting, results, looks)[0] for looks in (1, 5))
    assert once.verdict is Verdict.HOLDS and often.verdict is Verdict.OPEN
    assert once.p == often.p and often.adjusted == pytest.approx(5 * (once.adjusted or 0))
    assert "corrected for 5 looks" in often.reason
    assert often.wanted is not None and often.wanted > 3


def test_an_open_claim_says_what_it_would_take() -> None:
    (seeds,) = measured([(0.01, 0.05, 0.012)])
    assert f"would take about {seeds.wanted} seeds at this spread" in seeds.reason
    assert seeds.reason.endswith("; a guess from 3 seeds")
    (many,) = measured([(0.01, 0.05, 0.012, -0.01, -0.02)])
    assert many.wanted is not None and "guess" not in many.reason
    (never,) = measured([(0.05, -0.05, 0.001)])
    assert never.wanted is None and "more than 100 seeds" in never.reason
    trunks = [(0.001, 0.002, 0.030, 0.031, 0.100, 0.101)]
    (differ,) = measured(trunks, trunks=("x", "y", "z"))
    assert differ.wanted is None and "more seeds would not do, the trunks differ; would take about" in differ.reason
    assert differ.reason.endswith("; a guess from 3 trunks")
    (noisy,) = measured([(-0.05, 0.12, 0.16, 0.02, 0.01, 0.02)], trunks=("x", "y", "z"))
    assert f"would take about {noisy.wanted} seeds per trunk" in noisy.reason


@pytest.mark.parametrize(
    ("differences", "begins"),
    [
        ((0.001, 0.030, 0.100), "difference +4.37 AR"),
        ((0.001, -0.030, 0.100), "the signs differ: x +0.10, y -3.00, z +10.00 AR"),
    ],
)
def test_one_seed_per_trunk_does_not_say_that_the_trunks_differ(differences: Sequence[float], begins: str) -> None:
    (single,) = measured([differences], trunks=("x", "y", "z"))
    assert single.reason.startswith(begins) and single.wanted is None
    assert "with one seed per trunk it is not known whether trunks or seeds differ, --seeds 2 tells" in (single.reason)
    assert "the trunks differ" not in single.reason and "depends" not in single.reason


def test_a_forecast_asks_what_decides_whatever_comes_of_the_others() -> None:
    """The weaker of two open claims can hold at the whole level only when the other one does first."""
    strong, weak = (0.010, 0.016, 0.004), (0.010, 0.018, 0.002)
    both = measured([strong, weak])
    alone = [measured([differences])[0] for differences in (strong, weak)]
    assert [one.verdict for one in both] == [Verdict.OPEN] * 2
    assert all((b.wanted or 0) > (a.wanted or 0) > 3 for a, b in zip(alone, both, strict=True))


def test_what_was_not_measured_is_open() -> None:
    (missing,) = measured([(-1.5, -1.5, -1.5)])  # -1: no person counts
    assert missing.verdict is Verdict.OPEN and "AR is not recorded of every run" in missing.reason


def test_missing_match_records_are_refused(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="is missing: AP is compared image by image"):
        resampled_run(Result("k", {}, [], {}, tmp_path), "AP")


def test_pairs_are_of_the_same_seed_and_trunk(tmp_path: Path) -> None:
    asked, setting = study(CLAIM), StudyProtocol("t", "", Protocol(size=(96, 96)), seeds=2, trunks=("x", "y"))
    results = [(cell, Result(cell.job.key, {}, [], {}, tmp_path)) for cell in asked.planned_jobs(setting)][:-1]
    found = pairs(CLAIM.row, CLAIM.than, results)
    assert [(pair.trunk, pair.seed) for pair in found] == [("x", 0), ("x", 1), ("y", 0)]
    assert len({pair.row.key for pair in found} | {pair.than.key for pair in found}) == 6


def test_a_metric_that_is_added_to_the_table_can_be_claimed(judged: Callable[..., ClaimResult], added: Metric) -> None:
    """Of a metric of which less is better the row with the lower numbers wins."""
    found = judged(lambda row, seed, trunk: (32 if row == "a" else 16) + seed, replace(CLAIM, metric=added.name))
    assert found.verdict is Verdict.HOLDS and f" {added.name}, 95 % interval" in found.reason
    assert found.interval is not None and (found.interval.mean > 0) == (added.better == "higher")


def test_what_no_entry_of_the_table_measures_can_not_be_claimed() -> None:
    for name in (ADDED[0].name, "params", "latency_ms_p50"):
        with pytest.raises(Refused, match=f"claim C speaks of {name!r}; training decides AP, .*, and what a row costs"):
            study(replace(CLAIM, metric=name))
