"""Intervals, p-values and how much more data would decide: against scipy and by hand."""

from __future__ import annotations

import numpy as np
import pytest

from tests.evaluation.resamples import averages, compared, gap, ttest
from workbench.evaluation.bootstrap import paired_bootstrap, resample
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
from workbench.evaluation.verdicts import Verdict, interval_verdict


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
