"""What a search does next: whether it looks on, and whose seed comes next, from what is planted."""

from dataclasses import replace
from pathlib import Path

import pytest

from tests.experiments.search.searched import SEARCH, plant, plant_paused, searching, without_counting
from workbench.experiments.search import decision
from workbench.experiments.search.decision import (
    PERHAPS,
    affordable,
    chosen,
    explore_share,
    explores,
    front,
    next_published,
    next_seed,
    owed,
)
from workbench.experiments.search.front import Estimate, FrontPoint
from workbench.experiments.search.knowledge import Knowledge, Training
from workbench.experiments.search.log import Log, Order, State
from workbench.experiments.search.log import Proposal as Logged
from workbench.experiments.search.plan import BEGIN, EXPLORE, SEEDS
from workbench.experiments.search.proposer import Proposal
from workbench.experiments.search.rounds import Searcher


@pytest.fixture
def known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Knowledge:
    """Of the planted search, where the training of #003 has failed."""
    without_counting(monkeypatch)
    found = Searcher(plant(tmp_path)).know()
    return replace(found, trainings=[replace(one, closed=True) for one in found.trainings])


def with_budget(known: Knowledge, minutes: float) -> Knowledge:
    return replace(known, run=replace(known.run, budget=minutes))


def with_seeds(known: Knowledge, *seeds: tuple[int, int]) -> Knowledge:
    """With only those trainings, of number and seed, complete."""
    kept = [one for one in known.trainings if (one.order.number, one.order.seed) in seeds]
    return replace(known, trainings=kept, taken_over={})


def point(which: int, chance: float, width: float = 2.0, on_front: bool = False) -> FrontPoint:
    return FrontPoint(which, Estimate(30.0, 30 - width / 2, 30 + width / 2), 1.0, chance, on_front)


def test_published_networks_come_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of the planted search are its first and its last candidate; what is over a limit is seen by the checks."""
    without_counting(monkeypatch)
    known = Searcher(searching(tmp_path)).know()
    assert next_published(known) == 0 and chosen(known) == Proposal(0)
    pairs = [one.pairs for one in SEARCH.space.candidates]
    one = replace(known, log=Log((Logged(0, pairs[0], State.ORDERED),)))
    assert next_published(one) == 5
    both = replace(known, log=Log((*one.log.proposals, Logged(1, pairs[5], State.OVER))))
    assert next_published(both) is None and (best := chosen(both)) is not None and best.which in (1, 2, 3, 4)


def test_it_looks_on_until_its_share_of_the_budget_is_used(known: Knowledge) -> None:
    first = replace(known, log=Log(known.log.proposals[:5], known.log.orders))
    assert known.spent == pytest.approx(4.0)
    missing = 5.0 * (1 - explore_share(with_budget(first, 5.0)))
    assert EXPLORE[0] < 1 - missing / 5.0 < EXPLORE[1], "the seeds of the front decide"
    assert explores(with_budget(first, 4.1 + missing)) and not explores(with_budget(first, 3.9 + missing))
    assert not explores(with_budget(known, 1000.0)), "all six were looked at"


def test_what_the_seeds_of_the_front_take_is_kept_for_them(known: Knowledge) -> None:
    """Two of #001, and two of each of the others on the front, which take half a minute each."""
    alone = with_seeds(known, (0, 0), (2, 0), (4, 0))
    alone = replace(alone, taken_over=known.taken_over)
    missing = sum(0.5 * 2 for one in front(alone) if one.on_front)
    assert missing >= 2
    for budget, share in ((100.0, EXPLORE[1]), (missing / 0.4, 0.6), (missing, EXPLORE[0])):
        assert explore_share(with_budget(alone, budget)) == pytest.approx(share, abs=0.03)


def test_it_looks_at_no_more_than_it_may(known: Knowledge) -> None:
    few = with_budget(replace(known, log=Log(known.log.proposals[:4], known.log.orders[:3])), 1000.0)
    assert explores(few)

    class Fewer(type(few.run)):
        most = 4  # pyright: ignore[reportAssignmentType, reportIncompatibleVariableOverride]

    assert not explores(replace(few, run=Fewer(SEARCH, few.run.protocol, few.run.home, budget=1000.0)))


@pytest.fixture
def pausing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Knowledge:
    """Of the planted search with a rung, at a fifth: #003 waits there. A whole training takes half a minute."""
    without_counting(monkeypatch)
    return Searcher(plant_paused(tmp_path)).know()


def test_who_waits_goes_on_where_its_seeds_are_paid_as_well(pausing: Knowledge) -> None:
    rest = SEEDS * 0.5 - 0.1  # of #003: three trainings, but what it has trained
    begun = 4 * 0.1
    least = (rest + pausing.spent + owed(pausing) - begun) / (1 - BEGIN)
    assert BEGIN * least > begun, "a part of the share for beginning is left"
    for factor in (0.97, 1.03):
        may = affordable(with_budget(pausing, factor * least))
        assert may.tolist() == [False] * 3 + [factor > 1] + [False] * 2, "all six were looked at"


def test_beginning_has_a_share_of_the_budget_whatever_the_seeds_take(pausing: Knowledge) -> None:
    few = replace(pausing, log=Log(pausing.log.proposals[:4], pausing.log.orders))
    needed = few.spent + owed(few)
    begins = affordable(with_budget(few, needed + 0.11))
    assert begins[4] and not begins[3], "a fifth of a training is paid, the rest of #003 and its seeds are not"
    assert not affordable(with_budget(few, needed + 0.09))[4]
    begun = [one for one in few.trainings if one.order.number == 3] * 20
    more = replace(few, trainings=[*few.trainings, *begun])
    much = with_budget(more, needed + 20 * 0.1 + 0.3)
    assert not affordable(much)[4], "its share is used up"


def test_who_failed_for_good_behind_the_rung_is_not_asked_to_go_on_again(pausing: Knowledge) -> None:
    rich = with_budget(pausing, 1000.0)
    assert (best := chosen(rich)) is not None and best.promoted and best.which == 3
    lost = [
        replace(one, order=Order(3, purpose="promoted"), fault="out of memory") if one.order.number == 3 else one
        for one in rich.trainings
    ]
    after = replace(rich, trainings=lost)
    assert 3 not in after.at_rung and chosen(after) is None


def test_the_front_is_of_what_was_trained(known: Knowledge) -> None:
    points = {one.which: one for one in front(known)}
    assert set(points) == {0, 1, 2, 4}
    assert {which: one.cost for which, one in points.items()} == pytest.approx({0: 3.0, 1: 1.0, 2: 5.0, 4: 4.0})
    assert points[1].on_front and points[2].on_front and points[2].score.mean > points[0].score.mean
    assert points[2].chance > 0.9 > points[4].chance
    assert front(known) == front(known)


def test_what_others_trained_over_a_limit_gets_no_seeds(known: Knowledge, monkeypatch: pytest.MonkeyPatch) -> None:
    """#002 is the best; over a limit it informs the process, and nothing more."""
    over = [replace(one, over=("gflops",)) if i == 2 else one for i, one in enumerate(known.prices)]
    limited = with_budget(replace(known, price_all=lambda: over), 1000.0)
    best = {one.which: one for one in front(limited)}[2]
    assert not best.on_front and best.chance == 0 and best.score.mean > 30
    alone = with_seeds(limited, (0, 0), (2, 0), (4, 0))
    order, others = next_seed(alone), list[int]()
    while order is not None:
        others.append(order.number)
        alone = replace(alone, trainings=[*alone.trainings, Training(order, "", None, True)])
        order = next_seed(alone)
    assert others and 2 not in others


def test_without_a_training_there_is_no_front(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    without_counting(monkeypatch)
    empty = Searcher(searching(tmp_path)).know()
    assert front(empty) == [] and next_seed(empty) is None and explores(empty)
    first = chosen(empty)
    assert first is not None and empty.prices[first.which].admitted and chosen(empty) == first


def test_the_front_gets_its_seeds_also_above_the_budget(known: Knowledge) -> None:
    """On the front are #000, #001 and #002; of the second one there are two seeds."""
    over, ordered = with_budget(known, 1.0), list[Order]()
    on = {one.which for one in front(known) if one.on_front}
    assert {1, 2} <= on
    while (order := next_seed(over)) is not None:
        ordered.append(order)
        under_way = Training(order, f"key {len(ordered)}", None, False)
        over = replace(over, trainings=[*over.trainings, under_way])
    assert Order(1, 2, purpose="front") in ordered and {one.number for one in ordered} <= on
    assert all(one.seed < SEEDS for one in ordered)


def test_every_seed_of_the_front_is_given_once(known: Knowledge) -> None:
    single, ordered = with_budget(with_seeds(known, (2, 0)), 0.1), list[Order]()
    while (order := next_seed(single)) is not None:
        ordered.append(order)
        single = replace(single, trainings=[*single.trainings, Training(order, f"key {order.seed}", None, False)])
    assert ordered == [Order(2, seed, purpose="front") for seed in range(1, SEEDS)]


def test_what_is_on_the_front_comes_first(known: Knowledge, monkeypatch: pytest.MonkeyPatch) -> None:
    planted = [point(4, 0.9, width=50.0), point(1, 0.3, on_front=True), point(0, 1.0, 50.0, on_front=True)]
    monkeypatch.setattr(decision, "front", lambda _: planted)
    assert next_seed(with_budget(known, 100.0)) == Order(1, 2, purpose="front"), "of #000 there are all"


@pytest.mark.parametrize(
    ("chance", "budget", "more"),
    [(PERHAPS, 100.0, True), (PERHAPS - 0.01, 100.0, False), (0.9, 4.4, False), (0.9, 4.6, True)],
)
def test_what_may_be_on_it_gets_seeds_within_the_budget(
    chance: float, budget: float, more: bool, known: Knowledge, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decision, "front", lambda _: [point(2, 1.0, on_front=True), point(4, chance)])
    assert next_seed(with_budget(known, budget)) == (Order(4, 1, purpose="front") if more else None)


def test_the_widest_interval_comes_first_and_seeds_count(known: Knowledge, monkeypatch: pytest.MonkeyPatch) -> None:
    single = with_seeds(known, (0, 0), (1, 1), (2, 0), (2, 1))
    given = [point(0, 1.0, 2.0, True), point(1, 1.0, 3.0, True), point(2, 1.0, 5.0, True)]
    monkeypatch.setattr(decision, "front", lambda _: given)
    order = next_seed(single)
    assert order is not None and order.number == 1, "5 over two seeds is less"


def test_its_choice_is_none_that_was_proposed(known: Knowledge) -> None:
    assert chosen(known) is None, "all were looked at"
    without = replace(known, log=Log(tuple(p for p in known.log.proposals if p.number != 3), ()), trainings=[])
    one = chosen(without)
    assert one is not None and one.which == 3 and not one.promoted
