"""What a search had after each training: the area under its front, over the log of cost.

The front after some trainings is the one that the search would then have recommended, by its estimates of then. What it
is worth is judged by all that is known in the end, in draws of that. What random candidates would have had comes from
the same draws: nothing was trained for it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from workbench.experiments.search.front import front_of, hypervolume
from workbench.experiments.search.knowledge import POINTS, Knowledge, Training
from workbench.experiments.search.process import Process, observations
from workbench.report.frames import Frame
from workbench.tensors import Floats, Ints
from workbench.training.rung import read_pause

DRAWS = 200
MOST = 600  # candidates in a draw: those that were trained, and others at random


@dataclass(frozen=True)
class _End:
    """A training that came to its end, or to the rung: the candidate's place in the space, its score (nan where it
    waits), and the minutes that it took."""

    place: int
    value: float
    minutes: float
    purpose: str


def growth_frame(known: Knowledge) -> Frame:
    """One line per whole training: minutes so far, also of those who wait at the rung by then; the front's area as it
    was believed, as it is judged now, and at random.

    Columns: trainings, minutes, purpose, candidates (trained so far), front (how many are on it), believed,
    hypervolume, low, high (95 % of the draws), random. Areas are scores times log of cost, above the lowest estimate.
    """
    events = _ends(known)
    ends = [one for one in events if math.isfinite(one.value)]
    if not ends:
        return pd.DataFrame()
    judge = _Judge(known, np.unique([one.place for one in ends]))
    lines, minutes, i = list[dict[str, Any]](), 0.0, 0
    for one in events:
        minutes += one.minutes
        if math.isnan(one.value):
            continue
        i += 1
        so_far = Process(known.pool, observations([(e.place, 0, e.value, known.noise) for e in ends[:i]]))
        which = np.unique([e.place for e in ends[:i]])
        mean = so_far.predicted(which)[0]
        on = which[front_of(mean, known.pool.log_cost[which])]
        areas = judge.areas(on)
        low, high = np.quantile(areas, (0.025, 0.975))
        found = {"believed": judge.area(mean, which), "hypervolume": areas.mean(), "low": low, "high": high}
        found |= {"random": judge.at_random(minutes)}
        lines.append(
            {"trainings": i, "minutes": minutes, "purpose": one.purpose, "candidates": len(which), "front": len(on)}
            | {name: float(value) / POINTS for name, value in found.items()}
        )
    return pd.DataFrame(lines)


def _ends(known: Knowledge) -> list[_End]:
    """What was known before, then the trainings in the order in which they ended."""
    up = known.run.search.up
    before = [
        _End(known.places[number], POINTS * result.metrics[up], 0.0, "known")
        for number, result in known.taken_over.items()
        if number in known.places and math.isfinite(result.metrics[up])
    ]
    own = [
        (tags.get("finished", ""), i, _End(place, value, known.spent_by(one), one.order.purpose))
        for i, one in enumerate(known.trainings)
        if (place := known.places.get(one.order.number)) is not None
        for tags, value in _ended(known, one)
    ]
    ended = [end for *_, end in sorted(own, key=lambda line: line[:2])]
    return [replace(one, minutes=one.minutes if math.isfinite(one.minutes) else 0.0) for one in [*before, *ended]]


def _ended(known: Knowledge, one: Training) -> list[tuple[Mapping[str, str], float]]:
    """What is written beside its number, and its score in points; nothing while it is under way or has failed."""
    if one.result is not None:
        score = POINTS * one.result.metrics[known.run.search.up]
        return [(one.result.tags, score)] if math.isfinite(score) else []
    return [(read_pause(known.run.folder(one.key)).tags, math.nan)] if one.paused else []


class _Judge:
    """Areas of fronts, by what is known in the end."""

    def __init__(self, known: Knowledge, trained: Ints) -> None:
        rng = np.random.default_rng(known.run.seed)
        terms = known.terms()
        others = np.setdiff1d(np.flatnonzero(terms.allowed), trained)
        some = rng.choice(others, min(len(others), max(0, MOST - len(trained))), replace=False)
        self._which = np.concatenate([trained, np.sort(some)])
        self._place = {int(one): i for i, one in enumerate(self._which)}
        self._log_cost, self._end = known.pool.log_cost, terms.end
        mean, covariance = known.process.joint(self._which)
        self._floor = float(mean[: len(trained)].min())
        values, vectors = np.linalg.eigh(covariance)
        self._drawn = mean + rng.normal(size=(DRAWS, len(mean))) @ (vectors * np.sqrt(np.maximum(values, 0))).T
        orders = [rng.permutation(np.flatnonzero(terms.allowed[self._which])) for _ in range(DRAWS)]
        spent = [np.cumsum(known.minutes[self._which[order]]) for order in orders]
        self._random = [
            (order, took, draw[order] + rng.normal(0, known.noise**0.5, len(order)))
            for order, took, draw in zip(orders, spent, self._drawn, strict=True)
        ]

    def area(self, scores: Floats, which: Ints) -> float:
        """Of the front of some candidates with these scores."""
        return hypervolume(scores, self._log_cost[which], self._floor, self._end)

    def areas(self, which: Ints) -> Floats:
        """(draws,): of some candidates."""
        rows = [self._place[int(one)] for one in which]
        return np.array([self.area(draw[rows], which) for draw in self._drawn])

    def at_random(self, minutes: float) -> float:
        """Mean area of a front that candidates in random order would have given, one training each."""
        found: Sequence[float] = [
            self._recommended(draw, order[:count], seen[:count])
            for draw, (order, took, seen) in zip(self._drawn, self._random, strict=True)
            if (count := int(np.searchsorted(took, minutes, side="right"))) >= 0
        ]
        return float(np.mean(found))

    def _recommended(self, draw: Floats, order: Ints, seen: Floats) -> float:
        on = order[front_of(seen, self._log_cost[self._which[order]])]
        return self.area(draw[on], self._which[on])
