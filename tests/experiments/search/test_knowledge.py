"""What a search knows, of a planted log: values, chance, minutes, and what it tells the process and Optuna."""

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.experiments.search.searched import GFLOPS, MINUTES, PRICES, SEARCH, plant, searching, without_counting
from workbench.experiments.search.knowledge import LEAST_KNOWN, NOISE, Knowledge, Training
from workbench.experiments.search.knowledge import MINUTES as BEFORE
from workbench.experiments.search.log import Order
from workbench.experiments.search.plan import SEEDS
from workbench.experiments.search.pricing import Price
from workbench.experiments.search.rounds import Searcher
from workbench.space import Factor
from workbench.training.record import Result

RUNGS = replace(SEARCH, rungs=(0.2, 1.0))
SIGNAL = 2.5


@pytest.fixture
def known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Knowledge:
    """Of the planted search; the training of #003 is under way."""
    without_counting(monkeypatch)
    return Searcher(plant(tmp_path)).know()


@pytest.fixture
def nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Knowledge:
    without_counting(monkeypatch)
    return Searcher(searching(tmp_path / "empty")).know()


def with_third(known: Knowledge, third: Callable[[Training], Training]) -> Knowledge:
    """Another state of the training of #003."""
    return replace(known, trainings=[third(one) if one.order.number == 3 else one for one in known.trainings])


def failed(known: Knowledge) -> Knowledge:
    return with_third(known, lambda one: replace(one, closed=True, fault="out of memory"))


def paused(known: Knowledge) -> Knowledge:
    run = replace(known.run, search=RUNGS)
    return with_third(
        replace(known, run=run), lambda one: replace(one, order=Order(3, until=run.rung), closed=True, signal=SIGNAL)
    )


def taking(known: Knowledge, minutes: Callable[[int], float]) -> Knowledge:
    """Trainings that took another time, by number."""

    def slower(number: int, result: Result) -> Result:
        factor = MINUTES / minutes(number)
        curve = [{**line, "train_images_per_s": line["train_images_per_s"] * factor} for line in result.curve]
        return replace(result, curve=curve)

    trainings = [
        replace(one, result=None if one.result is None else slower(one.order.number, one.result))
        for one in known.trainings
    ]
    others = {number: slower(number, result) for number, result in known.taken_over.items()}
    return replace(known, trainings=trainings, taken_over=others)


def test_values_are_in_points_by_seed(known: Knowledge) -> None:
    wanted = {0: [30.0, 27.0, 27.6], 1: [20.0, 19.0], 2: [40.0, 36.0, 38.0], 4: [28.0]}
    assert set(known.values) == set(wanted), "the first seed of #001 is known from elsewhere"
    for number, values in wanted.items():
        assert [known.values[number][seed] for seed in range(len(values))] == pytest.approx(values)
    assert [one.number for one in known.trained()] == [0, 1, 2, 4]


def test_chance_is_pooled_over_repeats(known: Knowledge, nothing: Knowledge) -> None:
    assert nothing.noise == pytest.approx(NOISE**2), "believed before there are any"
    repeats = [(30.0, 27.0, 27.6), (20.0, 19.0), (40.0, 36.0, 38.0)]
    squares = sum((len(each) - 1) * np.var(each, ddof=1) for each in repeats)
    assert known.noise == pytest.approx((squares + SEEDS * NOISE**2) / (5 + SEEDS))


def test_the_process_sees_every_training(known: Knowledge) -> None:
    seen = known.observed
    assert sorted(seen.which.tolist()) == [0, 0, 0, 1, 1, 2, 2, 2, 4] and not seen.rung.any()
    assert seen.values[seen.which == 2].tolist() == pytest.approx([40.0, 36.0, 38.0])
    assert (seen.noise == known.noise).all()


def test_one_that_waits_at_the_rung_is_seen_by_its_signal(known: Knowledge) -> None:
    waits = paused(known)
    seen = waits.observed
    assert len(seen.which) == len(known.observed.which) + 1
    assert (seen.which[-1], seen.rung[-1], seen.values[-1]) == (3, 1, -SIGNAL), "of a loss less is better"
    assert waits.at_rung == {3} and 3 not in waits.values and waits.terms().first_rung == 0.2
    assert known.at_rung == set() and known.terms().first_rung == 1.0


def test_minutes_are_believed_until_some_are_known(known: Knowledge, nothing: Knowledge) -> None:
    assert nothing.minutes.tolist() == [BEFORE] * 6 and nothing.spent == nothing.trained_minutes == 0
    few = replace(known, trainings=known.trainings[: LEAST_KNOWN - 1], taken_over={})
    assert few.minutes.tolist() == [BEFORE] * 6
    assert known.minutes.tolist() == pytest.approx([MINUTES] * 6)


def test_minutes_are_learnt_from_options(known: Knowledge) -> None:
    candidates = known.run.search.space.candidates
    without = [dict(one.pairs)["layers"] == "0" for one in candidates]
    slow = {number: 5.0 if without[place] else 1.0 for number, place in known.places.items()}
    expected = taking(known, lambda number: slow[number]).minutes
    trained = sorted(known.places[number] for number in known.values)
    assert expected[trained].tolist() == pytest.approx([slow[place] for place in trained], rel=0.15)
    assert min(expected[i] for i in range(6) if without[i]) > max(expected[i] for i in range(6) if not without[i])
    assert expected.max() <= 10 and expected.min() >= 0.5, "no farther than twice what is known"


def test_minutes_of_what_others_trained_are_known(known: Knowledge) -> None:
    alone = replace(known, trainings=known.trainings[: LEAST_KNOWN - 1], taken_over={})
    both = replace(alone, taken_over=known.taken_over)
    assert alone.minutes.tolist() == [BEFORE] * 6 and both.minutes.tolist() == pytest.approx([MINUTES] * 6)


def test_what_has_no_price_costs_as_the_dearest_and_is_not_allowed(known: Knowledge) -> None:
    prices = [*PRICES[:5], Price(impossible="it can not be built")]
    one = replace(known, price_all=lambda: prices)
    assert one.pool.log_cost[5] == pytest.approx(math.log(5.0)) and not one.terms().allowed[5]


def test_what_is_under_way_is_spent_as_it_is_expected(known: Knowledge) -> None:
    assert known.trained_minutes == pytest.approx(8 * MINUTES), "what is known from elsewhere costs nothing"
    assert known.spent == pytest.approx(9 * MINUTES) and [one.order.number for one in known.open] == [3]
    assert failed(known).spent == pytest.approx(8 * MINUTES) and failed(known).open == []
    assert paused(known).spent == paused(known).trained_minutes == pytest.approx(8.2 * MINUTES)
    to_rung = with_third(paused(known), lambda one: replace(one, closed=False, signal=math.nan))
    assert to_rung.spent == pytest.approx(8.2 * MINUTES), "what is ordered up to the rung"


def test_minutes_follow_what_is_set_of_every_job(known: Knowledge) -> None:
    twice = replace(known, run=replace(known.run, changes={"protocol.epoch_images": 1200}))
    assert twice.trained_minutes == pytest.approx(2 * known.trained_minutes)


def test_outcomes_are_means_of_what_has_come_to_an_end(known: Knowledge) -> None:
    found = known.outcomes()
    assert {number: (one.up, one.words["seeds"]) for number, one in found.items()} == {
        0: (pytest.approx(0.282), 3),
        1: (pytest.approx(0.195), 2),
        2: (pytest.approx(0.38), 3),
        4: (pytest.approx(0.28), 1),
    }
    gave_up = failed(known).outcomes()[3]
    assert math.isnan(gave_up.up) and gave_up.fault == "out of memory"
    assert 3 not in paused(known).outcomes(), "it may go on"


def test_predictions_need_something_that_was_observed(known: Knowledge, nothing: Knowledge) -> None:
    assert nothing.prediction(0) == () and len(known.prediction(3)) == 3
    for place in range(6):
        mean, low, high = known.prediction(place)
        assert (low + high) / 2 == pytest.approx(mean) and high - low > 2 * 1.96 * known.noise**0.5
    assert known.prediction(2)[0] > known.prediction(1)[0]


def test_what_may_be_proposed(known: Knowledge) -> None:
    terms = known.terms()
    assert terms.allowed.tolist() == [True] * 5 + [False] and terms.end == pytest.approx(math.log(5.5))
    assert np.exp(terms.pool.log_cost).tolist() == pytest.approx(GFLOPS) and terms.noise == known.noise
    free = replace(known, run=replace(known.run, search=replace(SEARCH, limits={})))
    assert free.terms().end == pytest.approx(math.log(5.0) + 0.1)


@pytest.mark.parametrize("gone", ["static", "wide"])
def test_an_option_may_be_taken_out_of_a_search(known: Knowledge, gone: str) -> None:
    """What was trained with it is kept in the log and counts no more. Of #002, which is wide, there are more seeds."""
    bins, padding, layers = SEARCH.factors
    left = {
        "static": (Factor("bins", {"dynamic": {}}), padding, layers),
        "wide": (bins, Factor("padding", {"usual": {}}, when=padding.when), layers),
    }[gone]
    run = replace(known.run, search=replace(SEARCH, factors=left, published={}))
    numbers = {"static": [0, 1, 2], "wide": [0, 1, 4]}[gone]
    searcher = Searcher(run)
    found = replace(searcher.know(), price_all=lambda: PRICES[:4])
    assert [one.number for one in found.trained()] == numbers and len(found.log.proposals) == 6
    assert set(found.places.values()) == {0, 1, 2, 3} and set(found.observed.which.tolist()) <= set(range(4))
    assert math.isfinite(found.spent) and set(found.outcomes()) >= set(numbers)
    assert {job.row[:4] for job in searcher.plan().values()} <= {f"#{number:03d}" for number in found.places}
    assert all(one.order.number in found.places for one in found.open)
