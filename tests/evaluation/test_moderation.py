"""The rule of the analysis: Student's test of two rows, and a residual that is that of the additive table."""

import numpy as np
import pytest

from tests.evaluation.resamples import ttest
from workbench.evaluation.intervals import pvalue, t_interval
from workbench.evaluation.moderation import STUDY_WEIGHT, Residual, StudySpread, moderated, residual_of


def test_two_rows_alone_are_students_test() -> None:
    values = np.random.default_rng(0).normal(size=(2, 4))
    found = t_interval(values[0] - values[1], study=residual_of(values).of_difference(2))
    expected = ttest(values[0] - values[1])
    assert pvalue(found) == pytest.approx(expected.pvalue)
    assert found.low == pytest.approx(expected.confidence_interval().low)


def test_the_residual_of_a_full_table_is_what_centring_leaves() -> None:
    values = np.random.default_rng(1).normal(size=(6, 3))
    left = values - values.mean(1, keepdims=True) - values.mean(0, keepdims=True) + values.mean()
    found = residual_of(values)
    assert found.freedom == 10 and found.variance == pytest.approx(np.square(left).sum() / 10)


def test_missing_runs_take_their_degrees_of_freedom() -> None:
    values = np.random.default_rng(2).normal(size=(5, 5))
    values[2:, 3:] = np.nan
    assert residual_of(values).freedom == 19 - 9  # 19 runs; 5 rows and 5 seeds less the one that they share
    values[1] = np.nan
    assert residual_of(values).freedom == 14 - 8
    assert residual_of(values[:1]).freedom == 0 and residual_of(np.empty((0, 0))) == Residual(0.0, 0)


def test_the_own_spread_keeps_its_weight() -> None:
    variance, freedom = moderated(3.0, 4, Residual(0.5, 20).of_difference(2))
    assert (
        variance == pytest.approx((STUDY_WEIGHT * 1.0 + 3 * 3.0) / (STUDY_WEIGHT + 3)) and freedom == STUDY_WEIGHT + 3
    )
    assert moderated(3.0, 4, StudySpread(0.5, 4))[1] == 4  # a small table lends no more than it has
    assert moderated(3.0, 4, StudySpread(0.5, 1))[1] == 3  # nor less than the claim has itself: its rows are outside
    for nothing in (None, StudySpread(0.0, 0)):
        assert moderated(3.0, 4, nothing) == (3.0, 3)


@pytest.mark.slow
@pytest.mark.parametrize(("seeds", "noisy"), [(2, 1.0), (3, 1.0), (2, 3.0), (3, 3.0)])
def test_it_covers_and_decides_nothing_false(seeds: int, noisy: float) -> None:
    """Seven rows and four claims; one row, which two claims touch, may vary nine times as much."""
    rng, claims, studies = np.random.default_rng(4), [(5, 0), (2, 1), (4, 3), (5, 4)], 600
    hits = wrong = pooled = 0
    for _ in range(studies):
        values = rng.normal(size=(7, seeds)) + rng.normal(size=seeds)
        values[5] = noisy * rng.normal(size=seeds)
        study = residual_of(values)
        found = [t_interval(values[i] - values[j], study=study.of_difference(2)) for i, j in claims]
        hits += sum(one.low <= 0 <= one.high for one in found)
        wrong += min(map(pvalue, found)) * len(claims) < 0.05
        alone = t_interval(values[5] - values[0], study=None)
        pooled += abs(alone.mean) < 2.1 * (2 * study.variance / seeds) ** 0.5
    assert hits / studies / 4 > 0.93 - 0.01 and wrong / studies < 0.057 + 0.02
    if noisy > 1:
        assert pooled / studies < 0.88  # the study's variance alone does not cover the noisy row: the rule is needed
