"""One table of metrics: an entry added to it is evaluated, resampled, claimed, shown and recorded everywhere."""

import math
from collections.abc import Callable

import numpy as np
import pytest

from tests.evaluation.golden import golden
from tests.evaluation.scenes import street
from workbench.core.errors import Refused
from workbench.core.skeletons import COCO
from workbench.evaluation.bootstrap import (
    image_weights,
    metric_from_records,
    paired_bootstrap,
    resample,
    resampled_metric,
)
from workbench.evaluation.coco_ap import evaluate_coco, evaluate_crowdpose
from workbench.evaluation.metrics import METRICS, PERCENT, Average, Metric, Shown, claimable, with_intervals
from workbench.evaluation.reference import reference_coco, reference_crowdpose
from workbench.evaluation.verdicts import Verdict, interval_verdict


def test_an_added_metric_is_evaluated_as_the_reference_does(added: Metric) -> None:
    truth, seen = street(1, [1] * 30, classes=2)
    pairs = ((evaluate_coco, reference_coco), (evaluate_crowdpose, reference_crowdpose))
    for ours, theirs in pairs:
        value = ours(truth, seen, COCO.sigmas)[added.name]
        assert value == pytest.approx(theirs(truth, seen, COCO.sigmas)[added.name], abs=1e-9)
        assert 0.05 < value < 0.95  # the scenes are no trivial case


def test_an_added_metric_is_resampled(added: Metric) -> None:
    once = evaluate_coco(*street(2, [1] * 30), COCO.sigmas)
    assert metric_from_records(once.records, metric=added.name) == pytest.approx(once[added.name], abs=1e-12)
    weights = image_weights(30, 3, seed=0)
    drawn = resampled_metric(once.records, weights, added.name)
    for value, counts in zip(drawn, weights, strict=True):
        again = evaluate_coco(*street(2, counts.tolist()), COCO.sigmas)
        assert value == pytest.approx(again[added.name], abs=1e-12)
    assert added in with_intervals() and added.name in claimable()


def test_which_way_is_better_stands_in_the_entry(added: Metric) -> None:
    """Two seeds of a network and of a copy that finds nobody in half of the images."""
    whole = [evaluate_coco(*street(seed, [1] * 60), COCO.sigmas).records for seed in (3, 4)]
    half = []
    for seed in (3, 4):
        truth, seen = street(seed, [1] * 60)
        half.append(evaluate_coco(truth, [d for d in seen if d.image_id % 2], COCO.sigmas).records)
    good, bad = ([resample(r, added.name, 200) for r in side] for side in (whole, half))
    better, worse = paired_bootstrap(bad, good), paired_bootstrap(good, bad)
    assert (better.mean > 0) == (added.better == "higher") and better.low < better.mean < better.high
    far = -0.5  # a loss of half of everything is still accepted
    assert interval_verdict(better, far, added.name).verdict is Verdict.HOLDS
    assert interval_verdict(worse, 0.5, added.name).verdict is Verdict.FAILS
    assert interval_verdict(better, metric=added.name).reason.startswith(f"difference {better.mean * 100:+.2f} ")


@pytest.mark.parametrize("name", ["coco", "crowdpose"])
def test_the_evaluation_gives_what_the_table_says(name: str) -> None:
    values = golden(name).values
    own = {metric.name for metric in METRICS.values() if (metric.measure or metric.crowdpose) is not None}
    assert set(values) <= own and {"AP", "AP_M", "mOKS", "NME"} <= set(values)
    assert ("AP_H" in values) == (name == "crowdpose") and ("AP_L" in values) == (name == "coco")
    for metric in METRICS.values():
        if metric.resample is not None:
            assert metric_from_records(golden(name).records, metric=metric.name) == pytest.approx(values[metric.name])


@pytest.mark.parametrize(
    ("shown", "value", "text", "difference"),
    [
        (PERCENT, 0.4567, "45.7", "+45.67"),
        (PERCENT, math.nan, "", "+nan"),
        (Shown(), -0.00001, "-0.000", "+0.0000"),
        (Shown(1e-6, 2, "M"), 2_346_000, "2.35", "+2.346"),
        (Shown(1, 1, "ms"), 12.34, "12.3", "+12.34"),
    ],
)
def test_numbers_are_written_as_the_entry_says(shown: Shown, value: float, text: str, difference: str) -> None:
    metric = Metric("x", shown=shown)
    assert metric.text(value) == text and metric.difference(value, more=1) == difference


@pytest.mark.parametrize(
    ("metric", "label"),
    [
        (Metric("x"), "x, %"),
        (Metric("x", shown=Shown()), "x"),
        (Metric("x", shown=Shown(unit="ms"), better="lower", head="time"), "time, ms (less is better)"),
    ],
)
def test_an_axis_names_the_unit_and_the_direction(metric: Metric, label: str) -> None:
    assert metric.label == label


@pytest.mark.parametrize("make", [lambda: Average("precision", (0.62,)), lambda: Average("recall", (0.5, 1.0))])
def test_a_threshold_that_is_not_matched_at_is_refused(make: Callable[[], Average]) -> None:
    with pytest.raises(Refused, match=r"OKS threshold .* matched at 0\.50, .*0\.95; choose"):
        make()


def test_what_records_do_not_hold_has_no_resampling() -> None:
    for measure in (Average("recall"), Average("precision", size="large"), Average("precision", crowding=(0, 0.2))):
        assert measure.resample is None
    with pytest.raises(Refused, match=r"metric 'AR': match records give \['AP', 'AP50', 'AP75', 'mOKS', 'NME'\]"):
        resampled_metric(golden("coco").records, np.ones((1, len(golden("coco").records.image_ids))), "AR")
