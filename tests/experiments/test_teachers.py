"""Trunks of one teacher are repeats; what another teacher's say stands beside, and may veto."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.experiments.made_up import STUDY, judged, protocol
from workbench.core.errors import Refused
from workbench.evaluation.verdicts import Verdict
from workbench.experiments.claims import ClaimResult, judge_claims
from workbench.experiments.teachers import taught, trunks_of
from workbench.study import Better, PlannedJob, StudyProtocol
from workbench.training.record import Result

THREE = ("joint", "joint-2", "joint-3")
TAUGHT = protocol(1, (*THREE, "regression"))
CLAIM = Better("C", "a beats b", "a", "b", "AR")
OF_JOINT = replace(CLAIM, teacher="joint")
GAINS = dict(zip(THREE, (0.016, 0.017, 0.018), strict=True))


def of(claim: Better, regression: float | None, asked: StudyProtocol = TAUGHT, joint: float = 0.0) -> ClaimResult:
    """Row a leads b by its gains on joint trunks, and by `regression` on the other one, which lie 30 points lower."""

    def value(row: str, seed: int, trunk: str) -> float | None:
        gain = GAINS[trunk] + joint if trunk in GAINS else regression
        if gain is None:
            return None
        return (0.5 if trunk in GAINS else 0.2) + gain * (row == "a")

    return judged([claim], value, asked)[0]


def test_the_interval_is_over_the_trunks_of_the_first_teacher() -> None:
    found = of(CLAIM, 0.2)
    assert found.verdict is Verdict.HOLDS and found.interval is not None
    assert found.interval.differences == pytest.approx(tuple(GAINS.values()))
    assert found.reason.startswith("taught jointly: difference +1.70 AR, 95 % interval +1.45 to +1.95, 3 trunks")
    assert "; taught by regression +20.00 AR" in found.reason
    assert list(found.per_trunk or {}) == [*THREE, "regression"]
    one_sided = [of(CLAIM, gain).interval for gain in (0.001, 0.9)]
    assert one_sided[0] == one_sided[1] == found.interval, "neither the mean nor the spread knows the other teacher"


def test_where_teachers_disagree_the_claim_is_open_and_gives_both() -> None:
    found = of(CLAIM, -0.009)
    assert found.verdict is Verdict.OPEN and found.p is not None and found.wanted is None
    assert found.reason.startswith(
        "depends on who taught the trunk: jointly +1.70 (+1.45 to +1.95), by regression -0.90 AR"
    )
    assert "would take" not in found.reason, "more trunks of the one do not change the other"


def test_sides_are_those_of_the_margin() -> None:
    assert of(replace(CLAIM, margin=-0.01), -0.009).verdict is Verdict.HOLDS
    assert of(replace(CLAIM, margin=0.015), 0.009).reason.startswith("depends on who taught the trunk")


def test_trunks_of_one_teacher_differ_by_chance_so_their_signs_need_not_agree() -> None:
    found = of(CLAIM, -0.2, joint=-0.0165)
    assert found.verdict is Verdict.OPEN and found.reason.startswith("depends on who taught")
    found = of(CLAIM, 0.2, joint=-0.0165)
    assert "it includes +0.00 AR" in found.reason and "the signs differ" not in found.reason
    assert "a guess from 3 trunks" in found.reason


def test_a_claim_of_one_teacher_is_told_of_the_others_and_takes_no_veto() -> None:
    found = of(OF_JOINT, -0.009)
    assert found.verdict is Verdict.HOLDS and "; taught by regression -0.90 AR" in found.reason
    assert found.interval == of(CLAIM, 0.2).interval
    assert of(OF_JOINT, None).verdict is Verdict.HOLDS, "nor does it wait for them"
    waits = of(CLAIM, None)
    assert waits.verdict is Verdict.OPEN and waits.reason.startswith("no complete pair on trunk regression")


def test_a_claim_of_a_teacher_that_taught_none_of_the_trunks_is_open_with_the_numbers() -> None:
    asked = protocol(1, ("regression", "regression-2", "heatmap"))
    found = judged([OF_JOINT], lambda row, seed, trunk: 0.5 + 0.01 * (row == "a"), asked)[0]
    assert found.verdict is Verdict.OPEN and found.p is None, "it is none of the claims that are corrected for"
    assert found.reason == (
        "asked of trunks taught jointly, here they were taught by regression and by heatmap "
        "(heatmap +1.00, regression +1.00, regression-2 +1.00 AR)"
    )
    both = judged([OF_JOINT, CLAIM], lambda row, seed, trunk: 0.5 + GAINS["joint"] * (row == "a"), asked)
    assert both[1].p == both[1].adjusted


def test_one_trunk_of_the_teacher_says_nothing_of_another() -> None:
    found = judged([OF_JOINT], lambda row, seed, trunk: 0.5 + 0.01 * (row == "a"), protocol(2, ("regression", "joint")))
    assert found[0].verdict is Verdict.OPEN and found[0].p == 1
    assert found[0].reason.startswith("taught jointly: one trunk: difference +1.00 AR")
    assert "taught by regression +1.00 AR" in found[0].reason


def test_where_no_two_trunks_share_a_teacher_every_trunk_counts_and_their_signs_agree() -> None:
    asked = protocol(1, ("regression", "joint", "heatmap"))
    gains = {"regression": 0.016, "joint": 0.017, "heatmap": 0.018}
    agreed = judged([CLAIM], lambda row, seed, trunk: 0.5 + gains[trunk] * (row == "a"), asked)[0]
    assert agreed.verdict is Verdict.HOLDS and agreed.interval is not None and len(agreed.interval.differences) == 3
    gains["heatmap"] = -0.01
    assert judged([CLAIM], lambda row, seed, trunk: 0.5 + gains[trunk] * (row == "a"), asked)[0].reason.startswith(
        "the signs differ: heatmap -1.00, joint +1.70, regression +1.60 AR"
    )
    assert trunks_of(CLAIM, asked).counted == asked.trunks


def test_without_trunks_a_claim_of_a_teacher_is_as_any_other() -> None:
    mine, other = (
        judged([claim], lambda row, seed, trunk: 0.5 + 0.01 * seed + 0.1 * (row == "a"))[0]
        for claim in (OF_JOINT, CLAIM)
    )
    assert (mine.verdict, mine.interval, mine.reason) == (other.verdict, other.interval, other.reason)


def test_a_teacher_of_no_trunk_is_refused() -> None:
    with pytest.raises(Refused, match=r"claim C asks for trunks taught by 'jiont'; there are trunks of \['heatmap', "):
        replace(STUDY, claims=(replace(CLAIM, teacher="jiont"),))
    assert (taught("joint"), taught("regression")) == ("jointly", "by regression")


def _measured(one: PlannedJob, value: float) -> Result:
    return Result(one.job.key, {"AP": value, "AR": value}, [], {}, Path())


def test_the_rule_covers_a_row_that_varies_nine_times_as_much_on_three_trunks_of_one_teacher() -> None:
    """Four claims without truth, two of them of the odd row; the fourth trunk, of another teacher, lies far apart."""
    claims = [Better(f"{x}{y}", "", x, y, "AR", teacher="joint") for x, y in ("ab", "ca", "de", "cd")]
    jobs, rng, studies = STUDY.planned_jobs(TAUGHT), np.random.default_rng(5), 200
    hits, wrong = np.zeros(4), 0
    for _ in range(studies):
        chance = rng.normal(0, 0.01, (6, 4)) * np.asarray([3, 1, 1, 1, 1, 1])[:, None] + rng.normal(0, 0.01, 4)
        chance[:, 3] += rng.normal(0, 0.05, 6)
        cells = {(row, trunk): chance[i, j] for i, row in enumerate("abcdef") for j, trunk in enumerate(TAUGHT.trunks)}
        found = judge_claims(claims, TAUGHT, [(one, _measured(one, 0.5 + cells[one.row, one.trunk])) for one in jobs])
        hits += [one.interval is not None and one.interval.low <= 0 <= one.interval.high for one in found]
        wrong += any(one.verdict is not Verdict.OPEN for one in found)
    assert 0.93 - 0.015 < hits.mean() / studies < 0.98 + 0.015  # two standard deviations of 200 studies
    assert 0.87 - 0.03 < hits[:2].mean() / studies < 0.96, "the odd row's own claims"
    assert wrong / studies < 0.057 + 0.033
