"""Resampled metrics against the evaluation, and intervals against slow and obvious code."""

from __future__ import annotations

import numpy as np
import pytest

from tests.evaluation.golden import golden
from tests.evaluation.resamples import averages, compared, ttest
from tests.evaluation.scenes import found, person, scene, street
from workbench.core.errors import Refused
from workbench.core.skeletons import COCO
from workbench.evaluation.bootstrap import (
    blocked_bootstrap,
    image_weights,
    metric_from_records,
    paired_bootstrap,
    resample,
    resampled_metric,
    summed,
)
from workbench.evaluation.coco_ap import evaluate_coco
from workbench.evaluation.intervals import t_interval
from workbench.evaluation.metrics import METRICS
from workbench.evaluation.verdicts import Verdict, block_verdict, interval_verdict

RESAMPLED = [metric.name for metric in METRICS.values() if metric.resample is not None]


@pytest.mark.parametrize("name", ["coco", "crowdpose"])
@pytest.mark.parametrize("score", ["bbox", "keypoint"])
def test_unit_weights_give_the_evaluation(name: str, score: str) -> None:
    ours = golden(name, score=score)
    for metric in RESAMPLED:
        assert metric_from_records(ours.records, metric=metric) == pytest.approx(ours[metric], abs=1e-13)


@pytest.mark.parametrize("classes", [1, 3])
@pytest.mark.parametrize("seed", range(4))
def test_weights_repeat_images(seed: int, classes: int) -> None:
    once = evaluate_coco(*street(seed, [1] * 30, classes), COCO.sigmas)
    weights = image_weights(30, 4, seed)
    ours = {m: resampled_metric(once.records, weights, m) for m in RESAMPLED}
    for row, counts in enumerate(weights):
        again = evaluate_coco(*street(seed, counts.tolist(), classes), COCO.sigmas)
        for metric, values in ours.items():
            assert values[row] == pytest.approx(again[metric], abs=1e-12)
    assert 0.05 < once["AP"] < 0.95  # the scenes are no trivial case


def test_undefined_resamples() -> None:
    records = evaluate_coco(scene(person(1, 0, 50)), [found(0, [50], [0.9])], COCO.sigmas).records
    weights = np.asarray([[0, 2], [1, 1]])
    assert resampled_metric(records, weights).tolist() == pytest.approx([-1, 1])
    assert np.isnan(resampled_metric(records, weights, "mOKS")[0])
    interval = compared([records], [records], 50)
    assert (interval.mean, interval.low, interval.high) == (0, 0, 0)
    nobody = evaluate_coco(scene(), [], COCO.sigmas).records
    assert metric_from_records(nobody) == -1
    undefined = compared([nobody] * 2, [nobody] * 2, 20)
    assert interval_verdict(undefined).verdict is Verdict.OPEN and "not measured" in interval_verdict(undefined).reason
    empty = evaluate_coco({}, [], COCO.sigmas).records
    assert metric_from_records(empty) == -1 and np.isnan(compared([empty], [empty], 20).mean)


def test_image_weights_draw_with_replacement() -> None:
    weights = image_weights(50, 2_000, 3)
    assert (weights.sum(1) == 50).all()
    assert weights.mean(0) == pytest.approx(np.ones(50), abs=0.15)
    assert weights.var() == pytest.approx(1 - 1 / 50, abs=0.02)
    assert np.array_equal(weights, image_weights(50, 2_000, 3)) and not np.array_equal(
        weights, image_weights(50, 2_000, 4)
    )


def test_paired_bootstrap_by_obvious_code() -> None:
    rng = np.random.default_rng(5)
    a = [rng.normal(0.5, 0.2, 40) for _ in range(3)]
    b = [x + rng.normal(0.03, 0.05, 40) for x in a]
    interval = compared([averages(x) for x in a], [averages(x) for x in b], 4_000, 7, "mOKS")
    each = [y.mean() - x.mean() for x, y in zip(a, b, strict=True)]
    assert interval.differences == pytest.approx(each)
    assert interval.mean == pytest.approx(np.mean(each))
    by_hand = np.stack(b) - np.stack(a)  # (seeds, images)
    draws = np.stack([by_hand[:, rng.integers(40, size=40)].mean(1) for _ in range(4_000)])
    assert interval.by_images is not None and interval.by_seeds is not None and interval.by_both is not None
    assert [interval.by_images.low, interval.by_images.high] == pytest.approx(
        np.quantile(draws.mean(1), [0.025, 0.975]), abs=1e-3
    )
    expected = ttest(each).confidence_interval()
    assert [interval.by_seeds.low, interval.by_seeds.high] == pytest.approx([expected.low, expected.high])
    shared = np.cov(draws.T)[np.triu_indices(3, 1)].mean()  # what the seeds share of the images
    assert interval.by_both.error**2 == pytest.approx(np.var(each, ddof=1) / 3 + max(0, shared), rel=0.05)
    assert interval.width == max(part.width for part in interval.parts)
    assert interval.by_seeds.freedom == 2 and interval.by_both.freedom >= 2


def test_pairing_narrows_the_interval() -> None:
    rng = np.random.default_rng(6)
    a = rng.normal(0.5, 0.2, 200)
    pair = compared([averages(a)], [averages(a + rng.normal(0, 0.02, 200))], 500, 0, "mOKS")
    other = compared([averages(a)], [averages(rng.permutation(a))], 500, 0, "mOKS")
    assert pair.width < other.width / 5


def test_seeds_of_a_trunk_are_no_new_trunks() -> None:
    rng = np.random.default_rng(4)
    hard = rng.normal(0.5, 0.2, 50)
    gains = {"a": 0.02, "b": 0.05}
    names = [name for name in gains for _ in range(3)]
    a = [averages(hard) for _ in names]
    b = [averages(hard + gains[name] + rng.normal(0, 0.001)) for name in names]
    one, other = ([resample(records, "mOKS", 200) for records in side] for side in (a, b))
    per_block, overall = blocked_bootstrap(one, other, names)
    assert [round(per_block[n].mean, 2) for n in gains] == [0.02, 0.05]
    assert len(overall.differences) == 2 and len(per_block["a"].differences) == 3
    assert block_verdict(per_block, overall).verdict is Verdict.OPEN  # two trunks this far apart
    assert (
        interval_verdict(paired_bootstrap(one, other)).verdict is Verdict.HOLDS
    )  # what six `seeds` would have claimed
    with pytest.raises(Refused, match="block names"):
        blocked_bootstrap(one, other, names[:-1])


def test_unpaired_input_is_refused() -> None:
    two, three = averages(np.ones(2)), averages(np.ones(3))
    with pytest.raises(Refused, match="as many"):
        compared([two], [two, two], 5)
    with pytest.raises(Refused, match="different images"):
        compared([two], [three], 5)
    with pytest.raises(Refused, match="expected"):
        metric_from_records(two, np.ones(3))
    with pytest.raises(Refused, match="AR"):
        resampled_metric(two, np.ones((1, 2)), "AR")
    with pytest.raises(Refused, match="needs two"):
        t_interval([0.1])


def test_a_sum_of_models_is_drawn_image_by_image() -> None:
    """Both show the same draws, so what an image does to them adds up."""
    rng = np.random.default_rng(6)
    values = rng.normal(size=(2, 40))
    one, other = (resample(averages(v), "mOKS", 300) for v in values)
    both, expected = summed([one, other]), resample(averages(values.sum(0)), "mOKS", 300)
    assert both.observed == pytest.approx(expected.observed) and both.drawn == pytest.approx(expected.drawn)
    with pytest.raises(Refused, match="the records are of different images"):
        summed([one, resample(averages(values[0, :30]), "mOKS", 300)])
