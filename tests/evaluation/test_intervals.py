"""Intervals, p-values and how much more data would decide: against scipy and by hand."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import nctdtr, ndtr

from tests.evaluation.resamples import averages, compared, gap, ttest
from workbench.evaluation.bootstrap import paired_bootstrap, resample
from workbench.evaluation.intervals import (
    CHANCE,
    MOST,
    Interval,
    factor,
    hochberg,
    holm,
    images_needed,
    pvalue,
    repeats_needed,
    seeds_needed,
    t_interval,
)
from workbench.evaluation.moderation import STUDY_WEIGHT, StudySpread
from workbench.evaluation.verdicts import Verdict, interval_verdict


def test_holm_by_hand() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.9, 0.8]) == pytest.approx([1, 1])
    assert len(holm([])) == 0


def test_hochberg_by_hand() -> None:
    assert hochberg([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.04, 0.04, 0.02])
    assert hochberg([0.04, 0.04, 0.04]) == pytest.approx([0.04] * 3)  # where all pass, none is corrected
    assert len(hochberg([])) == 0


def test_parts_of_a_statement_take_one_place() -> None:
    assert holm([0.04, 0.03, 0.02], ["all"] * 3, ["all"]) == pytest.approx([0.04, 0.04, 0.04])
    # beside another claim they take the second of two places, or the first
    assert holm([0.04, 0.03, 0.001], ["all", "all", "one"], ["all"]) == pytest.approx([0.04, 0.04, 0.002])
    assert holm([0.02, 0.01, 0.3], ["all", "all", "one"], ["all"]) == pytest.approx([0.04, 0.04, 0.3])
    # a part that passes does so with what is left of the place, though another one does not
    assert holm([0.5, 0.001, 0.001], ["all", "all", "one"], ["all"]) == pytest.approx([0.5, 0.002, 0.002])
    assert holm([0.5, 0.6, 0.001], ["all", "one", "all"], ["all"]) == pytest.approx([1, 1, 0.004])


def test_holm_with_places_is_holm_where_each_claim_has_its_own() -> None:
    rng = np.random.default_rng(0)
    for _ in range(20):
        p = rng.random(5) ** 3
        assert holm(p, list("abcde")) == pytest.approx(holm(p))


def test_no_false_part_is_decided_more_often_than_the_level() -> None:
    """Four parts without truth in a statement, alike as claims of one row are, and a claim of its own beside them."""
    rng = np.random.default_rng(1)
    wrong = 0
    for _ in range(2_000):
        z = np.append((rng.normal(size=4) + rng.normal()) / 2**0.5, rng.normal())
        p = 2 * (1 - ndtr(np.abs(z)))
        wrong += holm(p, [*["all"] * 4, "one"], ["all"]).min() < 0.05
    assert 0.02 < wrong / 2_000 < 0.05 + 0.01


def test_bounds_of_one_number_take_one_place() -> None:
    assert holm([0.2, 0.03, 0.01], ["d", "d", "one"]) == pytest.approx([0.2, 0.03, 0.02])
    assert holm([0.2, 0.01, 0.03], ["d", "d", "one"]) == pytest.approx([0.2, 0.02, 0.06])


def test_no_false_bound_is_decided_more_often_than_the_level() -> None:
    """A difference at one of its two bounds, and another claim without truth beside it."""
    rng = np.random.default_rng(2)
    for truth in (0.0, -1.0):
        z = rng.normal(size=(2_000, 2)) * [0.3, 1] + [truth, 0]
        gaps = np.stack([z[:, 0] / 0.3, (z[:, 0] + 1) / 0.3, z[:, 1]], axis=1)
        adjusted = np.stack([holm(p, ["d", "d", "one"]) for p in 2 * (1 - ndtr(np.abs(gaps)))])
        false = adjusted[:, [0 if truth == 0 else 1, 2]]
        assert 0.02 < np.mean(false.min(axis=1) < 0.05) < 0.05 + 0.01


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


@pytest.mark.parametrize("study", [None, StudySpread(0.0018, 10)])
def test_what_it_takes_decides_in_four_cases_of_five(study: StudySpread | None) -> None:
    """With so many seeds of the seen mean and spread; with one less in fewer."""
    interval = t_interval([0.02, 0.10, 0.03], study=study)
    needed = seeds_needed(interval)
    assert needed is not None and needed > 3 and pvalue(interval) > 0.05
    rng, spread = np.random.default_rng(2), interval.error * 3**0.5

    def share(count: int) -> float:
        lent = interval.freedom - 2
        decided = 0
        for _ in range(4_000):
            mean = rng.normal(interval.mean, spread / count**0.5)
            error = spread * (rng.chisquare(count - 1 + lent) / (count - 1 + lent) / count) ** 0.5
            decided += abs(mean) > factor(count - 1 + lent, 0.95) * error and mean > 0
        return decided / 4_000

    assert share(needed) > CHANCE - 0.02 and share(needed - 1) < CHANCE + 0.02


def test_a_spread_that_is_moderated_decides_with_fewer_seeds() -> None:
    values = [0.02, 0.10, 0.03]
    own, study = t_interval(values), t_interval(values, study=StudySpread(np.var(values, ddof=1), 10))
    assert study.mean == own.mean and study.error == pytest.approx(own.error) and study.width < own.width
    assert study.freedom == STUDY_WEIGHT + 2 and (seeds_needed(study) or MOST) < (seeds_needed(own) or 0)


def test_what_it_takes_is_unknown_where_nothing_is_known() -> None:
    interval = t_interval([0.02, 0.10, 0.03])
    assert (needed := seeds_needed(interval)) is not None
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
    reach = 1.96 + 0.84  # of a normal mean, with four chances in five
    assert times == pytest.approx((by_images.by_images.error * reach / by_images.mean) ** 2, rel=0.05)
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
    needed = repeats_needed(*alike, bound=0.05)
    away = (alike[1].mean - 0.05) / (seed / 3) ** 0.5

    def share(count: int) -> float:
        return float(1 - nctdtr(2, away * count**0.5, factor(2, 0.95)))

    assert needed is not None and share(needed) >= CHANCE > share(needed - 1)
    noisy = found([-0.05, 0.12], [0.16, 0.02], [0.01, 0.02])
    assert interval_verdict(noisy[1]).verdict is Verdict.OPEN and (repeats_needed(*noisy) or 0) > 2
    differ = found([0.001, 0.002], [0.03, 0.031], [0.1, 0.101])
    assert repeats_needed(*differ) is None and (seeds_needed(differ[1]) or 0) > 3
    single = {name: gap(0.01, 0.0, 0.01) for name in "abc"}
    assert repeats_needed(single, differ[1]) is None  # the spread of seeds was not seen
