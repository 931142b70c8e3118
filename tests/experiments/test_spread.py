"""The table behind the spread of a study: which runs are in it."""

import numpy as np
import pytest

from tests.experiments.made_up import STUDY, alike, protocol, results_of
from workbench.evaluation.moderation import residual_of
from workbench.experiments.spread import RunTable
from workbench.study import Better

NOISE = np.random.default_rng(1).normal(0, 0.01, (6, 4))
CLAIM, ROWS = Better("C", "", "a", "b", "AR"), frozenset("abcd")


def noisy(row: str, seed: int, trunk: str) -> float:
    return 0.5 + NOISE["abcdef".index(row), seed]


def test_of_two_arithmetics_that_are_as_many_only_one_is_in_the_table() -> None:
    """Seeds 0 and 1 were computed in one way, seeds 2 and 3 in another: together would tell what ways differ by."""
    results = results_of(noisy, protocol(4), lambda row, seed: {"precision": "bf16" if seed > 1 else "float32"})
    found = RunTable(ROWS, results, alike).spread(CLAIM)
    first = residual_of(NOISE[:4, :2])
    assert found.freedom == first.freedom == 3 and found.variance == pytest.approx(2 * first.variance)


def test_it_is_of_the_difference_of_the_claim() -> None:
    table = RunTable(ROWS, results_of(noisy, protocol(4)), alike)
    pair, more = table.spread(CLAIM), table.spread(Better("I", "", "a", "b", "AR", more_than=("c", "d")))
    assert more == (2 * pair.variance, pair.freedom) and pair.freedom == 9


def test_it_is_of_the_trunks_that_count() -> None:
    trunks = ("joint", "joint-2", "joint-3", "regression")
    results = results_of(lambda row, _, trunk: noisy(row, trunks.index(trunk), ""), protocol(1, trunks))
    found = RunTable(ROWS, results, alike).spread(CLAIM, trunks[:3])
    assert found.freedom == 6 and found.variance == pytest.approx(2 * residual_of(NOISE[:4, :3]).variance)
    assert STUDY.rows[0].label == "a" and RunTable(ROWS, [], alike).spread(CLAIM).freedom == 0
