"""The statistics against pycocotools, against slow and obvious code, and on simulated truth."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy import stats as scipy_stats

from tests.evaluation.test_coco_ap import found, golden, person, scene
from workbench.core.errors import Refused
from workbench.core.skeletons import COCO
from workbench.evaluation.bootstrap import (
    blocked_bootstrap,
    image_weights,
    metric_from_records,
    paired_bootstrap,
    resample,
    resampled_metric,
)
from workbench.evaluation.coco_ap import evaluate_coco
from workbench.evaluation.intervals import (
    MOST,
    Interval,
    holm,
    holm_factors,
    images_needed,
    pvalue,
    repeats_needed,
    seeds_needed,
    student_factor,
    t_interval,
)
from workbench.evaluation.metrics import METRICS
from workbench.evaluation.records import MatchRecords
from workbench.evaluation.verdicts import Verdict, block_verdict, interval_verdict

RESAMPLED = [metric.name for metric in METRICS.values() if metric.resample is not None]


def ttest(values: Any) -> Any:
    return scipy_stats.ttest_1samp(values, 0)


def compared(
    a: list[MatchRecords], b: list[MatchRecords], resamples: int = 2_000, seed: int = 0, metric: str = "AP"
) -> Interval:
    """b - a over images and seeds."""
    drawn_a, drawn_b = ([resample(r, metric, resamples, seed) for r in side] for side in (a, b))
    return paired_bootstrap(drawn_a, drawn_b)


def street(seed: int, copies: list[int], classes: int = 1) -> tuple[dict[str, Any], list[Any]]:
    """Images of 0 to 4 people, some of a crowd or without labels, and detections of all qualities with tied scores."""
    rng = np.random.default_rng(seed)
    images: list[dict[str, Any]] = []
    people: list[dict[str, Any]] = []
    seen: list[Any] = []
    for repeat in copies:
        at = rng.uniform(0, 2000, rng.integers(0, 5))
        kinds = rng.choice(["", "", "", "crowd", "bare"], len(at))
        areas, category = rng.uniform(500, 50_000, len(at)), rng.integers(0, classes, len(at))
        spread = rng.exponential(12, len(at)) * (rng.random(len(at)) < 0.9)
        xs = [*(at + spread), *rng.uniform(0, 2000, rng.integers(0, 3))]
        labels = [*category, *rng.integers(0, classes, len(xs) - len(at))]
        scores = rng.permutation(30)[: len(xs)] / 30  # distinct in an image, tied between images
        for _ in range(repeat):
            number = len(images)
            images.append({"id": number, "crowdIndex": 0.5})
            for x, kind, area, c in zip(at, kinds, areas, category, strict=True):
                more: dict[str, Any] = {"area": float(area), "category_id": int(c) + 1}
                more |= {"iscrowd": 1} if kind == "crowd" else {}
                more |= {"num_keypoints": 0, "keypoints": [0] * 51} if kind == "bare" else {}
                people.append(person(len(people) + 1, number, float(x), **more))
            seen.append(found(number, xs, scores.tolist(), [int(c) for c in labels]))
    truth = scene(*people, images=0) | {"images": images}
    truth["categories"] = [{"id": c + 1, "name": str(c)} for c in range(classes)]
    return truth, seen


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


def test_chunks_do_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    records = golden("coco").records
    weights = image_weights(len(records.image_ids), 50, 1)
    whole = resampled_metric(records, weights)
    monkeypatch.setattr("workbench.evaluation.average_precision.CELLS", 1)
    assert np.array_equal(whole, resampled_metric(records, weights))


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


def synthetic(rng: np.random.Generator, images: int, per_image: int) -> MatchRecords:
    found = images * per_image
    quality = rng.random(found)
    return MatchRecords(
        image_ids=np.arange(images),
        image=np.repeat(np.arange(images, dtype=np.int32), per_image),
        category=np.zeros(found, np.int16),
        scores=rng.random(found),
        matched=quality[:, None] > np.linspace(0.5, 0.95, 10),
        ignored=(rng.random(found) < 0.05)[:, None] & (quality[:, None] < np.linspace(0.5, 0.95, 10)),
        positives=np.full((1, images), per_image, np.int32),
        oks_sum=np.zeros(images),
        oks_count=np.zeros(images, np.int32),
        error_sum=np.zeros(images),
        error_count=np.zeros(images, np.int32),
    )


@pytest.mark.slow
def test_two_thousand_resamples_in_seconds() -> None:
    records = synthetic(np.random.default_rng(0), 1_000, 4)
    weights = image_weights(1_000, 2_000, 0)
    start = time.process_time()
    values = resampled_metric(records, weights)
    assert time.process_time() - start < 10
    assert values.std() > 0 and values.mean() == pytest.approx(metric_from_records(records), abs=0.01)


def averages(values: np.ndarray) -> MatchRecords:
    """Records whose mOKS is the mean of `values`, one per image."""
    images = len(values)
    base = synthetic(np.random.default_rng(0), images, 0)
    return replace(base, oks_sum=values.astype(float), oks_count=np.ones(images, np.int32))


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


def gap(mean: float, half: float, *each: float) -> Interval:
    return Interval(mean=mean, low=mean - half, high=mean + half, differences=each)


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


def test_holm_by_hand() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.9, 0.8]) == pytest.approx([1, 1])
    assert len(holm([])) == 0


def test_holm_multiplies_the_smallest_by_all() -> None:
    assert holm_factors([0.01, 0.04, 0.03, 0.005]).tolist() == [3, 1, 2, 4]


def test_pvalue_is_of_the_bound() -> None:
    values = [0.1, 0.2, 0.3]
    assert pvalue(t_interval(values)) == pytest.approx(ttest(values).pvalue)
    assert pvalue(t_interval(values), 0.15) == pytest.approx(ttest(np.asarray(values) - 0.15).pvalue)
    assert pvalue(t_interval([0.1, 0.1]), 0.1) == 1 and pvalue(t_interval([0.1, 0.1])) == 0
    assert pvalue(gap(0.5, 0.1, 0.5)) == 1  # a single seed


@pytest.mark.parametrize("level", [0.5, 0.9, 0.95, 0.999])
def test_pvalue_and_interval_agree(level: float) -> None:
    """The interval leaves a bound out exactly where p says so, whichever of its three parts is the widest."""
    rng = np.random.default_rng(8)
    widest = set()
    for seeds, images in ((0.1, 0.001), (0.001, 0.5), (0.02, 0.2)):
        hard = rng.normal(0, images, 40)
        sides = [
            [averages(hard * on + rng.normal(0, seeds) + rng.normal(0, 0.02, 40)) for _ in range(3)] for on in (0, 1)
        ]
        one, other = ([resample(r, "mOKS", 300) for r in side] for side in sides)
        interval = paired_bootstrap(one, other, level)
        widest |= {name for name in ("by_images", "by_seeds", "by_both") if getattr(interval, name).low == interval.low}
        for bound in np.linspace(interval.low - 0.01, interval.high + 0.01, 41):
            assert (pvalue(interval, bound) < 1 - level) == (not interval.low <= bound <= interval.high)
    assert len(widest) > 1


def test_what_it_takes_is_what_would_do() -> None:
    """With so many seeds of the seen mean and spread the interval leaves the bound out, with one less it does not."""
    values = [0.02, 0.10, 0.03]
    interval = t_interval(values)
    needed = seeds_needed(interval)
    assert needed is not None and needed > 4 and pvalue(interval) > 0.05
    spread, mean = float(np.std(values, ddof=1)), float(np.mean(values))
    assert (
        student_factor(needed) * spread / needed**0.5 < mean < student_factor(needed - 1) * spread / (needed - 1) ** 0.5
    )
    assert (more := seeds_needed(interval, level=0.99)) is not None and more > needed
    assert seeds_needed(interval, 0.0499) is None  # of a difference of a ten-thousandth
    assert seeds_needed(interval, 0.05) is None and seeds_needed(gap(0.1, 0.2, 0.1)) is None
    assert images_needed(interval) is None  # nothing is known of images here


def test_more_images_or_more_seeds() -> None:
    rng = np.random.default_rng(9)
    hard = rng.normal(0.02, 0.2, 50)  # the images disagree, the seeds do not
    zero = [averages(np.zeros(50))] * 3
    by_images = compared(zero, [averages(hard + rng.normal(0, 0.001)) for _ in range(3)], 500, 0, "mOKS")
    assert interval_verdict(by_images).verdict is Verdict.OPEN and seeds_needed(by_images) is None
    times = images_needed(by_images)
    assert times is not None and 1 < times < MOST
    assert by_images.by_images is not None
    assert times == pytest.approx((by_images.by_images.error * 1.96 / by_images.mean) ** 2, rel=0.05)
    seeds = [averages(np.full(50, 0.02 + d) + rng.normal(0, 0.001, 50)) for d in (-0.03, 0.0, 0.05)]
    by_seeds = compared(zero, seeds, 500, 0, "mOKS")
    assert images_needed(by_seeds) is None and (seeds_needed(by_seeds) or 0) > 3


def test_more_seeds_on_the_same_trunks() -> None:
    def found(*blocks: list[float]) -> tuple[dict[str, Interval], Interval]:
        return {str(i): t_interval(b) for i, b in enumerate(blocks)}, t_interval([float(np.mean(b)) for b in blocks])

    alike = found([0.00, 0.12], [0.11, 0.02], [0.05, 0.14])
    assert (
        interval_verdict(alike[1]).verdict is Verdict.HOLDS
        and interval_verdict(alike[1], margin=0.05).verdict is Verdict.OPEN
    )
    seed = np.mean([np.var(block.differences, ddof=1) for block in alike[0].values()])  # explains all of the spread
    needed = seed / 3 * (student_factor(3) / (alike[1].mean - 0.05)) ** 2
    assert repeats_needed(*alike, bound=0.05) == np.ceil(needed)
    noisy = found([-0.05, 0.12], [0.16, 0.02], [0.01, 0.02])
    assert interval_verdict(noisy[1]).verdict is Verdict.OPEN and (repeats_needed(*noisy) or 0) > 2
    differ = found([0.001, 0.002], [0.03, 0.031], [0.1, 0.101])
    assert repeats_needed(*differ) is None and (seeds_needed(differ[1]) or 0) > 3
    single = {name: gap(0.01, 0.0, 0.01) for name in "abc"}
    assert repeats_needed(single, differ[1]) is None  # the spread of seeds was not seen


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
