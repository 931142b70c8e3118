"""Proposals: spread at first, then where the front gains most for its price; a function of what is recorded."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import norm

from tests.experiments.search.planted import NOISE, SPACE, pool, trained, truth
from workbench.experiments.search.front import hypervolume, steps_of
from workbench.experiments.search.process import Process, observations
from workbench.experiments.search.proposer import SPREAD, Terms, expected_gain, front_so_far, proposed
from workbench.tensors import Floats

EVERY, NOTHING = np.arange(len(SPACE)), observations([])


def terms(seed: int = 0, first_rung: float = 1.0) -> Terms:
    given = pool(np.random.default_rng(0))
    allowed = given.log_cost < 1.8
    return Terms(given, allowed, np.exp(given.log_cost), NOISE**2, 1.8, first_rung, seed)


def searched(asked: Terms, scores: Floats, trainings: int) -> list[int]:
    rng, taken, lines = np.random.default_rng(1), list[int](), list[tuple[int, int, float, float]]()
    for _ in range(trainings):
        one = proposed(asked, observations(lines), taken)
        assert one is not None and not one.promoted
        taken.append(one.which)
        lines.append((one.which, 0, float(scores[one.which] + rng.normal(0, NOISE)), NOISE**2))
    return taken


def test_the_first_ones_cover_every_option() -> None:
    taken = searched(terms(), truth(), SPREAD)
    seen = SPACE.features(SPACE.candidates)[taken].sum(0)
    assert len(set(taken)) == SPREAD and seen.min() >= 1


def test_a_planted_best_is_found_within_a_third_of_the_space() -> None:
    asked, scores = terms(), truth()
    best = int(EVERY[asked.allowed][np.argmax(scores[asked.allowed])])
    assert best in searched(asked, scores, 13)


def test_what_is_over_a_limit_or_known_is_never_proposed() -> None:
    asked = terms()
    taken = searched(asked, truth(), int(asked.allowed.sum()))
    assert sorted(taken) == np.flatnonzero(asked.allowed).tolist()
    assert proposed(asked, trained(np.asarray(taken), truth(), np.random.default_rng(0)), taken) is None


def test_proposals_follow_from_records_and_seed_alone() -> None:
    assert searched(terms(3), truth(), 11) == searched(terms(3), truth(), 11)
    assert searched(terms(3), truth(), SPREAD) != searched(terms(4), truth(), SPREAD)


def test_a_pending_one_counts_with_its_prediction() -> None:
    """What it is expected to give is not expected again of its like."""
    asked, scores = terms(), truth()
    taken = searched(asked, scores, 9)
    seen = trained(np.asarray(taken), scores, np.random.default_rng(2))
    first = proposed(asked, seen, taken)
    assert first is not None
    second = proposed(asked, seen, [*taken, first.which], [first.which])
    assert second is not None and second.which != first.which and second.gain < first.gain


def test_one_that_promises_much_at_the_rung_goes_on() -> None:
    asked, scores = terms(first_rung=0.2), truth()
    z = (scores - scores.mean()) / scores.std()
    some = np.flatnonzero(asked.allowed)[:14]
    lines = [(int(i), 1, float(z[i]), 0.0) for i in some] + [(int(i), 0, float(scores[i]), 0.25) for i in some[:6]]
    one = proposed(asked, observations(lines), some.tolist())
    assert one is not None
    promoted = set[int]()
    while one is not None and one.promoted:
        promoted.add(one.which)
        lines.append((one.which, 0, float(scores[one.which]), 0.25))
        one = proposed(asked, observations(lines), some.tolist())
    assert promoted <= set(some[6:].tolist()) and promoted


def test_what_is_trained_counts_where_the_budget_pays_for_no_more_of_its_like() -> None:
    asked, scores = terms(), truth()
    taken = searched(asked, scores, 9)
    seen = trained(np.asarray(taken), scores, np.random.default_rng(2))
    paid = ~np.isin(EVERY, taken)
    best = proposed(asked, seen, taken)
    assert best is not None and proposed(replace(asked, paid=paid), seen, taken) == best
    other = proposed(replace(asked, paid=paid & (best.which != EVERY)), seen, taken)
    assert other is not None and other.which != best.which and other.gain <= best.gain


def test_the_expected_gain_is_that_of_an_integral() -> None:
    values, log_cost = np.asarray([1.0, 2.0, 1.5]), np.asarray([0.2, 0.6, 0.9])
    steps = steps_of(values, log_cost, 0.0, 1.0)
    before = hypervolume(values, log_cost, 0.0, 1.0)
    for mean, deviation, at in ((1.8, 0.5, 0.4), (0.5, 1.0, 0.1), (2.5, 0.3, 0.7)):

        def gain(score: float, at: float = at) -> float:
            return hypervolume(np.append(values, score), np.append(log_cost, at), 0.0, 1.0) - before

        wanted, _ = quad(lambda y: gain(y) * norm.pdf(y, mean, deviation), mean - 6, mean + 6, limit=200)  # noqa: B023
        found = expected_gain(np.asarray([mean]), np.asarray([deviation]), np.asarray([at]), steps)
        assert found[0] == pytest.approx(wanted, rel=1e-3)


def test_the_front_so_far_is_of_whole_trainings_alone() -> None:
    rng, scores, given = np.random.default_rng(6), truth(), pool(np.random.default_rng(0))
    process = Process(given, trained(EVERY[:9], scores, rng))
    found = front_so_far(process, given.log_cost)
    assert set(found.tolist()) <= set(range(9)) and (np.diff(given.log_cost[found]) > 0).all()
    early = observations([(i, 1, float(scores[i]), 0.0) for i in range(5)])
    assert not len(front_so_far(Process(given, early), given.log_cost))
