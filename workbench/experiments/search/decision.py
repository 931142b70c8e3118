"""What a search does next, as a function of what it knows: a candidate to look at, a training to order, or nothing."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from workbench.experiments.search.front import FrontPoint, front_points
from workbench.experiments.search.knowledge import Knowledge
from workbench.experiments.search.log import Order
from workbench.experiments.search.plan import BEGIN, EXPLORE, SEEDS
from workbench.experiments.search.proposer import Proposal, proposed
from workbench.tensors import Flags

BY_NAME = "published"  # who proposes the networks that go by a name
PERHAPS = 0.2  # chance to be on the front from which a candidate gets further seeds too, if the budget has them


def explores(known: Knowledge) -> bool:
    """Whether further candidates are looked at: there are some, and the budget's share for that is not used up.

    With a rung the budget decides of each candidate: see `affordable`.
    """
    if known.run.rung:
        return True
    return (
        len(known.log.proposals) < known.run.most
        and len(known.places) < len(known.place)
        and known.spent < explore_share(known) * known.run.budget
    )


def explore_share(known: Knowledge) -> float:
    """The part of the budget that further candidates may take: what the seeds of the front do not, within `EXPLORE`."""
    return float(np.clip(1 - owed(known) / known.run.budget, *EXPLORE))


def owed(known: Knowledge) -> float:
    """Minutes that the seeds of the front will take."""
    return sum(
        (SEEDS - _seeds(known, point.which)) * known.minutes[known.places[point.which]]
        for point in front(known)
        if point.on_front and _seeds(known, point.which) < SEEDS
    )


def _under_way(known: Knowledge) -> list[int]:
    """Places of candidates whose first training goes to the end."""
    whole = [one.order.number for one in known.open if one.order.seed == 0 and not one.order.until]
    return [known.places[number] for number in whole if number in known.places]


def _waiting(known: Knowledge) -> list[int]:
    """Places of candidates that wait at the rung."""
    return [known.places[number] for number in known.at_rung if number in known.places]


def affordable(known: Knowledge) -> Flags:
    """(N,): which candidates may begin or, of those that wait at the rung, go on.

    Who goes on may come to the front and is then given its seeds, so these have to be paid as well; and who begins may
    go on. A share of the budget is for beginning, whatever comes of it.
    """
    whole, first = SEEDS * known.minutes, known.first
    kept = owed(known) + float((SEEDS - 1) * known.minutes[_under_way(known)].sum())
    left = known.run.budget - known.spent - kept
    due = max(BEGIN * known.run.budget - known.begun, 0.0)
    may = whole <= left - due
    if len(known.log.proposals) >= known.run.most:
        may[:] = False
    elif due > 0:
        may |= first * known.minutes <= left
    may[list(known.places.values())] = False
    waiting = _waiting(known)
    may[waiting] = (whole - first * known.minutes)[waiting] <= left - due
    return may


def next_published(known: Knowledge) -> int | None:
    """The place of the next published network that nobody has looked at; None where there is none."""
    taken = set(known.places.values())
    return next((place for one in known.run.search.landmarks if (place := known.place[one]) not in taken), None)


def chosen(known: Knowledge) -> Proposal | None:
    """A published network or our own proposer's choice; None where nothing is left that it may propose."""
    if (first := next_published(known)) is not None:
        return Proposal(first)
    taken = [known.places[one.number] for one in known.log.proposals if one.number in known.places]
    pending = _under_way(known)
    terms = known.terms()
    if not known.run.rung:
        return proposed(terms, known.observed, taken, pending)
    paid = affordable(known)
    best = proposed(replace(terms, paid=paid), known.observed, taken, pending)
    if best is None and not known.trained() and not known.open:  # a budget that pays for no front still ends with one
        paid[_waiting(known)] = True
        best = proposed(replace(terms, paid=paid), known.observed, taken, pending)
    return best


def front(known: Knowledge) -> list[FrontPoint]:
    """Every candidate that was trained, with its estimate and its chance to be on the front; `which`: its proposal.

    What other studies have trained may be over a limit: it tells of others, and is not on the front.
    """
    trained = known.trained()
    if not trained:
        return []
    places = np.array([known.places[one.number] for one in trained])
    within = np.array([not known.prices[place].over for place in places])
    points = front_points(known.process, places, within, known.run.seed)
    return [
        FrontPoint(one.number, point.score, point.cost, point.chance, point.on_front)
        for one, point in zip(trained, points, strict=True)
    ]


def next_seed(known: Knowledge) -> Order | None:
    """A further training of the front: of what is on it before what may be, widest interval first.

    What is on the front gets its seeds whatever the budget says: a front of single trainings is no result.
    """
    left = known.run.budget - known.spent
    short = [
        p
        for p in front(known)
        if _seeds(known, p.which) < SEEDS
        and (p.on_front or (p.chance >= PERHAPS and known.minutes[known.places[p.which]] <= left))
    ]
    if not short:
        return None
    best = max(short, key=lambda p: (p.on_front, p.chance * (p.score.high - p.score.low) / _seeds(known, p.which)))
    return Order(best.which, _seeds(known, best.which), purpose="front")


def _seeds(known: Knowledge, number: int) -> int:
    """Seeds of a proposal that are known or ordered."""
    ordered = {one.order.seed for one in known.trainings if one.order.number == number}
    return len(ordered | set(known.values.get(number, {})))
