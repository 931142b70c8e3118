"""From pairs of runs to the interval of their difference."""

from dataclasses import replace

import numpy as np
import pytest

from tests.experiments.made_up import alike, protocol, results_of
from workbench.evaluation.bootstrap import Resampled
from workbench.evaluation.moderation import StudySpread
from workbench.experiments.comparison import difference, difference_per_trunk
from workbench.experiments.pairing import pairing_of
from workbench.study import Contrast
from workbench.training.record import Result

TWO, FOUR = Contrast(("a",), ("b",)), Contrast(("a", "d"), ("b", "c"))
NOISE = np.random.default_rng(3).normal(0, 0.01, (6, 3))


def noisy(row: str, seed: int, trunk: str) -> float:
    return 0.5 + NOISE["abcdef".index(row), seed]


def test_a_number_of_a_run_and_one_of_images_that_agree_have_one_interval() -> None:
    pairs = pairing_of(FOUR, results_of(noisy, protocol())).pairs
    study = StudySpread(1e-4, 6)
    plain, resampled = (difference(metric, pairs, alike, study) for metric in ("AR", "mOKS"))
    assert (plain.low, plain.high) == pytest.approx((resampled.low, resampled.high))
    assert plain.differences == pytest.approx(tuple(NOISE[0] + NOISE[3] - NOISE[1] - NOISE[2]))
    alone = difference("AR", pairs[:1], alike)
    assert alone.low == alone.mean == alone.high and alone.differences == plain.differences[:1]


@pytest.mark.parametrize("metric", ["AR", "mOKS"])
def test_seeds_of_a_trunk_are_averaged_and_told_apart_on_it(metric: str) -> None:
    asked = protocol(2, ("x", "y"))
    gains = {("x", 0): 0.1, ("x", 1): 0.3, ("y", 0): 0.4, ("y", 1): 0.6}
    pairs = pairing_of(TWO, results_of(lambda row, seed, trunk: gains[trunk, seed] * (row == "a"), asked)).pairs
    assert difference(metric, pairs, alike, by_trunk=True).differences == pytest.approx((0.2, 0.5))
    each = difference_per_trunk(metric, pairs, alike)
    assert {name: one.differences for name, one in each.items()} == {
        "x": pytest.approx((0.1, 0.3)),
        "y": pytest.approx((0.4, 0.6)),
    }


def test_images_are_drawn_for_all_four_together() -> None:
    """What an image does to both sides alike is in no interval."""
    rng = np.random.default_rng(0)
    shared, own = rng.normal(0, 0.1, 400), {row: rng.normal(0, 0.001, 400) for row in "abcd"}

    def read(result: Result, metric: str) -> Resampled:
        row = result.key.partition(" ")[0]
        drawn = shared * {"a": 2, "b": 1, "c": 2, "d": 1}[row] + own[row]
        return Resampled(image_ids=np.arange(4), observed=0.0, drawn=drawn)

    results = [
        (one, replace(run, key=f"{one.row} {one.seed}"))
        for one, run in results_of(noisy, protocol())
        if one.row in "abcd"
    ]
    pairs = pairing_of(FOUR, results).pairs
    found = difference("mOKS", pairs, read)
    alone = difference("mOKS", pairing_of(TWO, results).pairs, read)
    assert found.by_images is not None and alone.by_images is not None
    expected = np.std(own["a"] - own["b"] - own["c"] + own["d"], ddof=1)
    assert found.by_images.error == pytest.approx(expected) and alone.by_images.error > 0.09
