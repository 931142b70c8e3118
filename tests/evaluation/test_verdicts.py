"""Verdicts: what an interval says of a claim, in one sentence."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.evaluation.resamples import averages, compared, gap
from tests.evaluation.scenes import street
from workbench.core.skeletons import COCO
from workbench.evaluation.bootstrap import metric_from_records
from workbench.evaluation.coco_ap import evaluate_coco
from workbench.evaluation.verdicts import Verdict, block_verdict, interval_verdict, teacher_verdict


def test_average_precision_difference_is_seen() -> None:
    records = evaluate_coco(*street(1, [1] * 60), COCO.sigmas).records
    rng = np.random.default_rng(0)
    bad = [replace(records, scores=rng.random(len(records.scores))) for _ in range(3)]
    good = replace(records, scores=records.matched.mean(1) + rng.random(len(records.scores)))
    interval = compared(bad, [good] * 3, 300)
    assert interval.mean == pytest.approx(np.mean([metric_from_records(good) - metric_from_records(r) for r in bad]))
    assert interval_verdict(interval).verdict is Verdict.HOLDS
    assert interval_verdict(compared([good] * 3, bad, 300)).verdict is Verdict.FAILS


def test_a_true_difference_is_found() -> None:
    rng = np.random.default_rng(3)
    decided = 0
    for run in range(60):
        hard = rng.normal(0.5, 0.2, 60)
        a, b = (
            [averages(hard + gain + rng.normal(0, 0.01) + rng.normal(0, 0.05, 60)) for _ in range(4)]
            for gain in (0, 0.06)
        )
        decided += interval_verdict(compared(a, b, 200, run, "mOKS")).verdict is Verdict.HOLDS
    assert decided / 60 > 0.9


def test_verdicts() -> None:
    clear = gap(0.05, 0.01, 0.05, 0.05)
    assert interval_verdict(clear).verdict is Verdict.HOLDS
    assert interval_verdict(clear).reason == (
        "difference +5.00 AP, 95 % interval +4.00 to +6.00, 2 seeds: all of it better than +0.00 AP"
    )
    assert "all of it better than -1.00 mOKS" in interval_verdict(clear, -0.01, "mOKS").reason
    assert interval_verdict(clear, margin=0.1).verdict is Verdict.FAILS
    assert interval_verdict(clear, margin=0.045).verdict is Verdict.OPEN
    assert "2 seeds say little of others: Student's factor is 12.7" in interval_verdict(clear, margin=0.045).reason
    many = gap(0.05, 0.01, *[0.05] * 9)
    assert "say little" not in interval_verdict(many, margin=0.045).reason
    error = interval_verdict(clear, margin=-0.01, metric="NME")  # an error may be larger by a hundredth, not by five
    assert error.verdict is Verdict.FAILS and error.reason.startswith("difference +0.0500 NME, 95 % interval +0.0400")
    assert error.reason.endswith("all of it worse than +0.0100 NME")
    assert interval_verdict(gap(-0.05, 0.01, -0.05, -0.05), metric="NME").verdict is Verdict.HOLDS
    slight = gap(-0.002, 0.001, -0.002, -0.002)
    assert (
        interval_verdict(slight).verdict is Verdict.FAILS
        and interval_verdict(slight, margin=-0.005).verdict is Verdict.HOLDS
    )
    single = interval_verdict(gap(0.05, 0.01, 0.05))
    assert single.verdict is Verdict.OPEN and single.reason.startswith("one seed")


def test_verdict_over_trunks() -> None:
    up, more, down = gap(0.05, 0.01, 0.05, 0.05), gap(0.07, 0.01, 0.07, 0.07), gap(-0.01, 0.001, -0.01, -0.01)
    overall = gap(0.06, 0.03, 0.05, 0.07)
    agreed = block_verdict({"a": up, "b": more}, overall)
    assert agreed.verdict is Verdict.HOLDS and "2 trunks" in agreed.reason
    mixed = block_verdict({"a": up, "b": down}, overall)  # whatever the interval over trunks says
    assert mixed.verdict is Verdict.OPEN and mixed.reason.startswith("depends on the trunk: a +5.00, b -1.00 AP")
    assert block_verdict({"a": up, "b": gap(0, 0)}, overall).verdict is Verdict.OPEN
    assert block_verdict({"a": up, "b": more}, gap(0.06, 0.1, 0.05, 0.07)).verdict is Verdict.OPEN
    assert block_verdict({"a": up}, up).reason.startswith("one trunk")
    assert block_verdict({"a": gap(0.05, 0.01, 0.05)}, gap(0.05, 0.01, 0.05)).reason.startswith("one seed")


def test_one_seed_per_trunk_does_not_tell_trunks_from_seeds() -> None:
    """One of two seeds is missing on one trunk: what differs may be that seed."""
    single, double, overall = gap(0.05, 0.01, 0.05), gap(-0.01, 0.001, -0.01, -0.01), gap(0.02, 0.1, 0.05, -0.01)
    decision = block_verdict({"a": single, "b": double}, overall)
    assert (decision.verdict, decision.reason) == (Verdict.OPEN, "the signs differ: a +5.00, b -1.00 AP")
    apart = block_verdict({"a": single, "b": gap(0.01, 0.001, 0.01)}, overall, margin=0.02)
    assert apart.reason == "not all better or worse than +2.00: a +5.00, b +1.00 AP"


def test_verdict_over_trunks_of_one_teacher() -> None:
    overall = gap(0.017, 0.008, 0.016, 0.017, 0.018)
    alone = teacher_verdict("jointly", overall, {})
    assert alone.verdict is Verdict.HOLDS and alone.reason.startswith("taught jointly: difference +1.70 AP")
    agreed = teacher_verdict("jointly", overall, {"by regression": 0.002})
    assert agreed == (Verdict.HOLDS, f"{alone.reason}; taught by regression +0.20 AP")
    apart = {"by regression": -0.009, "by heatmap": 0.07}
    assert teacher_verdict("jointly", overall, apart) == (
        Verdict.OPEN,
        "depends on who taught the trunk: jointly +1.70 (+0.90 to +2.50), by regression -0.90, by heatmap +7.00 AP",
    )
    told = teacher_verdict("jointly", overall, apart, agree=False)
    assert told == (Verdict.HOLDS, f"{alone.reason}; taught by regression -0.90, by heatmap +7.00 AP")
    assert teacher_verdict("jointly", overall, {"by regression": 0.002}, margin=0.005).verdict is Verdict.OPEN
    assert teacher_verdict("jointly", overall, {"by regression": -0.009}, margin=-0.01).verdict is Verdict.HOLDS
    less = gap(-0.017, 0.008, -0.016, -0.017, -0.018)  # of an error less is better
    assert teacher_verdict("jointly", less, {"by regression": -0.001}, metric="NME").verdict is Verdict.HOLDS
    assert teacher_verdict("jointly", less, {"by regression": 0.001}, metric="NME").verdict is Verdict.OPEN
