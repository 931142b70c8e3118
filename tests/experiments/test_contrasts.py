"""A difference of two differences is a claim like any other: four runs in place of two."""

from dataclasses import replace

import numpy as np
import pytest

from tests.experiments.made_up import STUDY, judged, protocol, results_of
from workbench.core.errors import Refused
from workbench.evaluation.verdicts import Verdict
from workbench.experiments.audit import compared
from workbench.experiments.claims import judge_claims
from workbench.study import Better, Contrast

MORE = Better("I", "a beats b by more than c beats d", "a", "b", more_than=("c", "d"))
ALONE = replace(MORE, metric="AR")
NOISE = np.random.default_rng(3).normal(0, 0.01, (6, 3))


def noisy(row: str, seed: int, trunk: str) -> float:
    return 0.5 + NOISE["abcdef".index(row), seed]


def test_it_is_the_difference_of_the_differences() -> None:
    (found,) = judged([ALONE], noisy)
    expected = NOISE[0] - NOISE[1] - (NOISE[2] - NOISE[3])
    assert found.interval is not None and found.interval.differences == pytest.approx(tuple(expected))
    assert found.verdict is Verdict.OPEN and "difference" in found.reason
    assert MORE.contrast == Contrast(("a", "d"), ("b", "c")) and MORE.rows == ("a", "b", "c", "d")
    assert MORE.sides == ("(a − b)", "(c − d)") and Better("P", "", "a", "b").sides == ("a", "b")


def test_it_holds_and_fails_and_has_margins_and_end_points_beside() -> None:
    gains = {"a": 0.3, "c": 0.1}

    def value(row: str, seed: int, trunk: str) -> float:
        return noisy(row, seed, trunk) / 5 + gains.get(row, 0.0)

    holds, fails, less, more = judged(
        [
            MORE,
            Better("R", "", "c", "d", more_than=("a", "b")),
            replace(MORE, id="L", margin=0.15),
            replace(MORE, id="M", margin=0.25),
        ],
        lambda *run: 0.4 + value(*run),
    )
    assert [one.verdict for one in (holds, fails, less, more)] == [
        Verdict.HOLDS,
        Verdict.FAILS,
        Verdict.HOLDS,
        Verdict.FAILS,
    ]
    assert holds.interval is not None and holds.interval.mean == pytest.approx(0.2, abs=0.02)
    assert [one.verdict for one in holds.beside] == [Verdict.HOLDS] * 2


def test_four_runs_vary_by_twice_as_much_as_two() -> None:
    """The share of the study in the variance of the mean is 4 MS, not 2 MS."""
    (pair, more) = judged([Better("P", "", "a", "b", "AR"), ALONE], noisy)
    values = NOISE[:4]
    left = values - values.mean(0) - values.mean(1, keepdims=True) + values.mean()
    square = np.square(left).sum() / 6
    for one, runs in ((pair, 2), (more, 4)):
        assert one.interval is not None
        own = np.var(one.interval.differences, ddof=1)
        assert one.interval.error**2 == pytest.approx((2 * runs * square + 2 * own) / 4 / 3)
        assert one.interval.freedom == 4


def test_all_four_runs_must_be_there_computed_alike_and_be_four_jobs() -> None:
    (three,) = judged([ALONE], lambda row, seed, trunk: None if (row, seed) == ("d", 1) else noisy(row, seed, trunk))
    assert three.interval is not None and len(three.interval.differences) == 2
    (none,) = judged([ALONE], lambda row, seed, trunk: None if row == "d" else noisy(row, seed, trunk))
    assert none.p == 1 and none.reason == "no pair of 'a' − 'b' and 'c' − 'd' is complete"
    results = results_of(noisy, protocol(), lambda row, seed: {"precision": "bf16"} if (row, seed) == ("d", 0) else {})
    (unlike,) = judge_claims([ALONE], protocol(), results)
    assert unlike.interval is not None and len(unlike.interval.differences) == 2
    assert "1 pair left out: unknown precision, numerics 1 beside bf16, numerics 1" in unlike.reason
    same = [(replace(one, row="d" if one.row == "b" else one.row), run) for one, run in results if one.row != "d"]
    both = [*same, *((one, run) for one, run in results if one.row == "b")]
    (shared,) = judge_claims([ALONE], protocol(), both)
    assert shared.verdict is Verdict.OPEN and shared.p is None
    assert shared.reason.startswith("two of 'a' − 'b' and 'c' − 'd' are one job under t: nothing is compared")


def test_it_takes_one_place_among_the_claims_and_says_what_it_would_take() -> None:
    clear = Better("P", "", "e", "f", "AR")
    effect = {"e": 0.3, "a": 0.02}
    alone, _ = judged([ALONE, clear], lambda *run: noisy(*run) + effect.get(run[0], 0.0))
    assert alone.p is not None and alone.adjusted == alone.p  # the clear one takes the larger factor
    assert alone.wanted is not None and f"would take about {alone.wanted} seeds" in alone.reason


@pytest.mark.parametrize(
    ("claim", "says"),
    [
        (replace(MORE, more_than=("c", "g")), "claim I speaks of row 'g'; there are"),
        (replace(MORE, more_than=("c", "a")), r"claim I compares \(a − b\) with \(c − a\); give each row once"),
        (Better("I", "", "a", "a"), "claim I compares a with a; give each row once"),
    ],
)
def test_what_compares_a_row_with_itself_or_with_none_is_refused(claim: Better, says: str) -> None:
    with pytest.raises(Refused, match=says):
        replace(STUDY, claims=(claim,))


def test_the_audit_compares_both_pairs() -> None:
    assert {("a", "b"), ("c", "d")} <= set(compared(replace(STUDY, claims=(MORE,))))
