"""Claims are decided by pairs of the same seed and trunk, and stay open where the numbers do not reach."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.added import ADDED
from tests.matched import IMAGES, records
from workbench.core.errors import Refused
from workbench.evaluation.bootstrap import Resampled
from workbench.evaluation.intervals import seeds_needed
from workbench.evaluation.metrics import Metric
from workbench.evaluation.verdicts import Verdict
from workbench.experiments.claims import ALPHA, ClaimResult, judge_study, statements
from workbench.experiments.claims import judge_claims as judged_in
from workbench.experiments.spread import LEARNT
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
    assert judgement.interval.mean == 0 and judgement.interval.width == pytest.approx(0)
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
STRONG, WEAK = (0.010, 0.016, 0.004), (0.010, 0.018, 0.002)  # together: p 0.043 and 0.069


def test_claims_are_corrected_together() -> None:
    """p 0.043 decides alone and beside a clear claim, which takes the larger factor; not as the smaller of two."""
    (alone,) = measured([HARDLY])
    assert alone.verdict is Verdict.HOLDS and alone.p is not None and ALPHA / 4 < alone.p == alone.adjusted
    beside_clear = measured([HARDLY, CLEAR])
    assert [one.verdict for one in beside_clear] == [Verdict.HOLDS] * 2
    first, second = measured([STRONG, WEAK])
    assert [first.verdict, second.verdict] == [Verdict.OPEN] * 2
    assert first.p is not None and ALPHA / 2 < first.p < ALPHA and first.adjusted == pytest.approx(2 * first.p)
    assert second.adjusted == first.adjusted
    assert f"alone it holds, corrected it does not: p {first.p:.2g}, corrected for 2 claims {2 * first.p:.2g}" in (
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


def test_a_look_has_a_part_of_the_level() -> None:
    asked = Study(name="s", question="", source="", base=nano(), rows=(Row("a"), Row("b", {"coords.padding": 1.5})))
    setting, claim = StudyProtocol("t", "", Protocol(size=(96, 96)), seeds=3), Better("C", "", "b", "a", "AR")
    results = [
        (cell, Result(cell.job.key, {"AR": HARDLY[cell.seed] * (cell.row == "b")}, [], {}, Path()))
        for cell in asked.planned_jobs(setting)
    ]
    once, often = (judged_in([claim], setting, results, level=level)[0] for level in (ALPHA, 0.01))
    assert once.verdict is Verdict.HOLDS and often.verdict is Verdict.OPEN
    assert once.p == once.adjusted == often.p == often.adjusted
    assert "alone it holds, corrected it does not: p 0.017, not below 0.01 at this look" in often.reason
    assert often.wanted is not None and often.wanted > 3


def test_an_open_claim_says_what_it_would_take() -> None:
    (seeds,) = measured([(0.01, 0.05, 0.012)])
    said = "for 4 chances in 5, were effect and spread as seen"
    assert f"would take about {seeds.wanted} seeds {said}" in seeds.reason
    assert seeds.reason.endswith("; a guess from 3 seeds")
    (many,) = measured([(0.01, 0.05, 0.012, -0.01, 0.02)])
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
    for one in measured([STRONG, WEAK]):
        assert one.verdict is Verdict.OPEN and one.interval is not None
        alone, together = (seeds_needed(one.interval, level=1 - ALPHA / claims) or 0 for claims in (1, 2))
        assert one.wanted == together > alone > 3


def test_what_was_not_measured_is_open() -> None:
    (missing,) = measured([(-1.5, -1.5, -1.5)])  # -1: no person counts
    assert missing.verdict is Verdict.OPEN and "AR is not recorded of every run" in missing.reason


def test_a_metric_that_is_added_to_the_table_can_be_claimed(judged: Callable[..., ClaimResult], added: Metric) -> None:
    """Of a metric of which less is better the row with the lower numbers wins."""
    found = judged(lambda row, seed, trunk: (32 if row == "a" else 16) + seed, replace(CLAIM, metric=added.name))
    assert found.verdict is Verdict.HOLDS and f" {added.name}, 95 % interval" in found.reason
    assert found.interval is not None and (found.interval.mean > 0) == (added.better == "higher")


def test_what_no_entry_of_the_table_measures_can_not_be_claimed() -> None:
    for name in (ADDED[0].name, "params", "latency_ms_p50"):
        with pytest.raises(Refused, match=f"claim C speaks of {name!r}; training decides AP, .*, and what a row costs"):
            study(replace(CLAIM, metric=name))


# ------------------------------------------------------------------------------------------------ the rule of a study

SMALL = StudyProtocol("t", "", Protocol(size=(96, 96)), seeds=3)
ROWS = tuple(Row(label, {"coords.padding": 1.1 + i / 10}) for i, label in enumerate("abcdef"))
NOISE = np.random.default_rng(0).normal(0, 0.01, (6, 3))


def of_rows(
    values: np.ndarray, claims: Sequence[Better], tags: Mapping[tuple[str, int], Mapping[str, str]] | None = None
) -> list[ClaimResult]:
    """Claims of AP where row i has `values[i]`, seed by seed; every end point has the same numbers."""
    asked = Study(name="s", question="", source="", base=nano(), rows=ROWS, claims=tuple(claims))
    results = []
    for cell in asked.planned_jobs(SMALL, values.shape[1]):
        value = float(values["abcdef".index(cell.row), cell.seed])
        mine = (tags or {}).get((cell.row, cell.seed), {})
        results.append((cell, Result(cell.job.key, {"AP": value}, [], mine, Path())))
    return judged_in(asked.claims, SMALL, results, read=alike)


def alike(result: Result, metric: str) -> Resampled:
    """Images that all agree; of errors less is better."""
    value = result.metrics["AP"] if metric != "NME" else 1 - result.metrics["AP"]
    return Resampled(image_ids=np.arange(4), observed=value, drawn=np.full(10, value))


def freedom(one: ClaimResult) -> float:
    assert one.interval is not None and one.interval.by_seeds is not None
    return one.interval.by_seeds.freedom


AB, CD, EF = (Better(f"{x}{y}", "", x, y) for x, y in ("ab", "cd", "ef"))


def test_claims_are_judged_by_the_spread_of_all_rows_that_claims_compare() -> None:
    values = 0.5 + NOISE
    (alone,), several = of_rows(values, [AB]), of_rows(values, [AB, CD, EF])
    assert alone.interval is not None and several[0].interval is not None
    assert freedom(alone) == 2 and freedom(several[0]) == 2 + 2  # its own two, and two of the study
    table = values - values.mean(0) - values.mean(1, keepdims=True) + values.mean()
    study = 2 * np.square(table).sum() / 10
    own = np.var(values[0] - values[1], ddof=1)
    assert several[0].interval.by_seeds is not None
    assert several[0].interval.by_seeds.error ** 2 == pytest.approx((2 * study + 2 * own) / 4 / 3)
    assert several[0].interval.mean == alone.interval.mean


def test_a_row_at_the_floor_has_no_part_in_the_spread() -> None:
    values = 0.5 + NOISE
    floor = values.copy()
    floor[4] = floor[5] = LEARNT / 2
    with_floor, without = of_rows(floor, [AB, CD, EF])[0], of_rows(values, [AB, CD])[0]
    assert with_floor.interval is not None and without.interval is not None
    assert with_floor.interval.error == pytest.approx(without.interval.error)


def test_rows_that_no_claim_compares_have_no_part_in_the_spread() -> None:
    wild = 0.5 + NOISE * np.asarray([1, 1, 1, 1, 40, 40])[:, None]
    frozen = replace(EF, from_scratch=True)
    assert of_rows(wild, [AB, CD])[0] == of_rows(0.5 + NOISE, [AB, CD])[0] != of_rows(wild, [AB, CD, EF])[0]
    asked = Study(name="s", question="", source="", base=nano(), rows=ROWS, claims=(AB, CD, frozen))
    probe = replace(SMALL, seeds=1, trunks=("x", "y", "z"))
    results = [
        (cell, Result(cell.job.key, {"AP": wild["abcdef".index(cell.row), "xyz".index(cell.trunk)]}, [], {}, Path()))
        for cell in asked.planned_jobs(probe)
    ]
    of_all, without = (judged_in(claims, probe, results, read=alike) for claims in (asked.claims, (AB, CD)))
    assert of_all[0].interval == without[0].interval  # frozen trunks do not decide the third


def test_a_comparison_beside_the_claims_is_judged_by_their_spread_and_its_own_row() -> None:
    values = 0.5 + NOISE
    asked = Study(name="s", question="", source="", base=nano(), rows=ROWS, claims=(AB, CD))
    results = [
        (cell, Result(cell.job.key, {"AP": values["abcdef".index(cell.row), cell.seed]}, [], {}, Path()))
        for cell in asked.planned_jobs(SMALL)
    ]
    beside = judged_in([AB, Better("x", "", "e", "a")], SMALL, results, among=asked.claims, read=alike)
    assert beside[0].interval == judged_in(asked.claims, SMALL, results, read=alike)[0].interval
    assert freedom(beside[1]) == 4


def test_seeds_of_a_trunk_are_averaged_before_the_spread_is_taken() -> None:
    """Twelve runs of two rows on three trunks are three differences, however many seeds they are."""
    wide = (0.02, 0.021, 0.05, 0.052, 0.03, 0.029)
    (one, _) = measured([wide, wide[::-1]], trunks=("x", "y", "z"))
    assert one.interval is not None and len(one.interval.differences) == 3 and one.interval.freedom <= 4


# ---------------------------------------------------------------------------------------------- each run counts once


def test_one_run_is_no_second_seed() -> None:
    """Three copies of one pair say no more than that pair."""
    asked = study(replace(CLAIM, metric="AP"))
    cells = asked.planned_jobs(SMALL, 3, {"seed": 5})
    assert len({cell.job.key for cell in cells}) == 2
    results = [(c, Result(c.job.key, {"AP": 0.52 if c.row == "a" else 0.5}, [], {}, Path())) for c in cells]
    (found,) = judged_in(asked.claims, SMALL, results, read=alike)
    assert found.verdict is Verdict.OPEN and found.reason.startswith("one seed") and found.p == 1
    assert "2 pairs left out: their runs count already" in found.reason


def test_a_row_says_nothing_against_itself() -> None:
    asked = Study(
        name="s", question="", source="", base=nano(), rows=(Row("a"), Row("again"), Row("b", {"coords.padding": 1.5}))
    )
    claims = [Better("S", "", "a", "again", margin=-0.01), Better("C", "", "b", "a")]
    results = [
        (c, Result(c.job.key, {"AP": 0.5 + 0.1 * (c.row == "b") + HARDLY[c.seed]}, [], {}, Path()))
        for c in asked.planned_jobs(SMALL)
    ]
    same, other = judged_in(claims, SMALL, results, read=alike)
    assert same.verdict is Verdict.OPEN and same.p is None and same.interval is None
    assert same.reason.startswith("'a' and 'again' are one job under t: nothing is compared")
    assert other.adjusted == other.p  # it is the only one of the family


def test_runs_of_another_arithmetic_are_not_paired_and_it_is_said() -> None:
    values = 0.5 + NOISE
    half = {"precision": "bf16", "numerics": "2"}
    whole = {"precision": "float32"}
    tags = {(row, seed): whole for row in "abcdef" for seed in range(3)}
    (all_alike,) = of_rows(values, [AB], tags)
    (one_apart,) = of_rows(values, [AB], {**tags, ("a", 0): half})
    assert all_alike.interval is not None and len(all_alike.interval.differences) == 3
    assert one_apart.interval is not None and len(one_apart.interval.differences) == 2
    assert "1 pair left out: bf16, numerics 2 beside float32, numerics 1" in one_apart.reason
    assert freedom(one_apart) == 1  # nor has that run a part in the spread
    named = {key: {"precision": "float32", "numerics": "1"} for key in tags}
    assert of_rows(values, [AB], {**tags, ("a", 0): named["a", 0]})[0].interval == all_alike.interval
    (none,) = of_rows(values, [AB], {**tags, **{("a", seed): half for seed in range(3)}})
    assert none.verdict is Verdict.OPEN and none.reason.startswith(
        "no pair of 'a' and 'b' is complete; 3 pairs left out"
    )


# ------------------------------------------------------------------------------------- end points beside, statements


def test_end_points_beside_ap_are_a_family_of_their_own() -> None:
    values = 0.5 + NOISE
    values[0] += 0.3
    found = of_rows(values, [AB, CD])
    assert [[one.claim.metric for one in claim.beside] for claim in found] == [["mOKS", "NME"]] * 2
    assert [one.verdict for one in found[0].beside] == [Verdict.HOLDS] * 2  # less NME is better
    assert found[0].p is not None
    assert found[0].adjusted == pytest.approx(2 * found[0].p)  # of two claims
    assert found[0].beside[0].adjusted == pytest.approx(4 * found[0].p)  # of two claims and two end points
    assert found[1].beside[0].verdict is Verdict.OPEN


def test_a_margin_is_one_of_ap_alone_and_another_end_point_has_none_beside() -> None:
    for claim in (replace(AB, margin=-0.01), replace(AB, metric="mOKS"), replace(AB, beside=())):
        assert of_rows(0.5 + NOISE, [claim])[0].beside == ()
    assert [one.claim.metric for one in of_rows(0.5 + NOISE, [replace(AB, beside=("NME",))])[0].beside] == ["NME"]


def test_no_worse_by_a_point_holds_where_nothing_else_could() -> None:
    values = 0.5 + NOISE / 10
    for margin, state in ((0.0, Verdict.OPEN), (-0.01, Verdict.HOLDS), (0.01, Verdict.FAILS)):
        assert of_rows(values, [replace(AB, margin=margin), CD])[0].verdict is state


def test_claims_on_one_difference_take_one_place() -> None:
    bound = replace(AB, id="bound", row=AB.than, than=AB.row, margin=-0.01)
    better, margin, other = of_rows(0.5 + NOISE / 10, [AB, bound, CD])
    assert better.verdict is Verdict.OPEN and margin.verdict is Verdict.HOLDS
    assert margin.p is not None and margin.adjusted is not None and margin.adjusted <= 2 * margin.p
    assert "corrected for 2 claims, 2 on one difference as one" in margin.reason and "as one" not in other.reason


def test_parts_of_a_statement_need_no_correction_among_themselves() -> None:
    parts = [STRONG, (0.010, 0.017, 0.004), (0.011, 0.016, 0.004)]
    apart, together = measured(parts), measured(parts, part_of="all")
    assert all(one.p is not None and ALPHA / 3 < one.p < ALPHA for one in apart)
    assert [one.verdict for one in apart] == [Verdict.OPEN] * 3
    assert [one.verdict for one in together] == [Verdict.HOLDS] * 3
    assert max(one.adjusted or 0 for one in together) == max(one.p or 0 for one in together)
    assert "corrected for 3 parts of all" in together[0].reason
    claims = [one.claim for one in together if isinstance(one.claim, Better)]
    (whole,) = statements(claims, [one.verdict for one in together])
    assert (whole.id, whole.verdict) == ("all", Verdict.HOLDS)
    assert whole.reason == "holds only if all of its 3 parts do: 3 hold"


def test_the_forecast_of_a_part_allows_for_the_other_parts() -> None:
    """As if none of them were decided: then a part is corrected for all of them."""
    parts = [(0.010, 0.025, -0.004), (0.011, 0.024, -0.003), (0.012, -0.023, 0.012)]
    apart, together = measured(parts), measured(parts, part_of="all")
    assert [one.wanted for one in together] == [one.wanted for one in apart]
    first = together[0]
    assert first.interval is not None and first.wanted == seeds_needed(first.interval, 0.0, 1 - ALPHA / 3)
    less = seeds_needed(first.interval, 0.0, 1 - ALPHA)
    assert less is not None and first.wanted is not None and less < first.wanted


def test_a_statement_is_open_while_a_part_is_and_fails_with_one() -> None:
    claims = [replace(AB, part_of="all", text="x"), replace(CD, part_of="all", text="x"), EF]
    for verdicts, state in (
        (("holds", "open", "fails"), Verdict.OPEN),
        (("fails", "open", "open"), Verdict.FAILS),
        (("holds", "holds", "open"), Verdict.HOLDS),
    ):
        (whole,) = statements(claims, verdicts)
        assert whole.verdict is state and whole.text == "x"
    assert statements([EF], ["holds"]) == []
