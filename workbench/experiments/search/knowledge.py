"""What a search knows at a moment: its log, the results of jobs, and what candidates cost. It changes nothing."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from workbench.experiments.search.log import Log, Order, Proposal, State
from workbench.experiments.search.optuna_study import Outcome
from workbench.experiments.search.plan import SEEDS, SearchRun
from workbench.experiments.search.pricing import Price
from workbench.experiments.search.process import Observations, Pool, Process, observations
from workbench.experiments.search.proposer import Terms
from workbench.space import Candidate
from workbench.tensors import Floats
from workbench.training.record import Result, train_minutes

Z95 = 1.96
POINTS = 100.0  # the process sees AP in points
NOISE = 1.25  # AP, standard deviation of a training by chance; as recorded of `short`, before repeats tell it
MINUTES = 2.5  # of a training on one core, before any are known
LEAST_KNOWN = 3  # trainings whose minutes are known before others are expected from them
MINUTES_NOISE = 0.01  # variance of their logarithm: a tenth, by what else the machine does
FARTHEST = math.log(2.0)  # beyond those known


@dataclass(frozen=True)
class Training:
    """A training of this search.

    Fields:
        order: the last one of it; key: of its job; result: if it is complete.
        closed: what was ordered is done, or it failed for good.
        signal: what it told at the rung, in a search that has one; nan where it has not come so far.
        fault: why it failed for good, if it did.
        pace: minutes of a whole training, as its first part says; nan where that is not known.
    """

    order: Order
    key: str
    result: Result | None
    closed: bool
    signal: float = math.nan
    fault: str = ""
    pace: float = math.nan

    @property
    def paused(self) -> bool:
        """Whether it waits at the rung. Who was to go on from it and failed for good does not."""
        return bool(self.order.until) and self.result is None and self.closed and math.isfinite(self.signal)


@dataclass(frozen=True)
class Knowledge:
    """All of it.

    Fields:
        price_all: gives `prices`; it takes seconds, which is why it is only asked where they are needed.
        trainings: one for each seed of a candidate that was ordered.
        taken_over: results of the first seed that other studies have, by proposal.
    """

    run: SearchRun
    price_all: Callable[[], Sequence[Price]]
    log: Log
    trainings: Sequence[Training]
    taken_over: Mapping[int, Result]

    @cached_property
    def prices(self) -> Sequence[Price]:
        """Of all candidates, by place in the space."""
        return self.price_all()

    @cached_property
    def place(self) -> dict[Candidate, int]:
        """Of each candidate in the space."""
        return {one: i for i, one in enumerate(self.run.search.space.candidates)}

    @cached_property
    def places(self) -> dict[int, int]:
        """Of each proposal in the space, those left out whose options the space has no more."""
        known = {one.pairs: i for one, i in self.place.items()}
        return {one.number: known[one.pairs] for one in self.log.proposals if one.pairs in known}

    @cached_property
    def values(self) -> dict[int, dict[int, float]]:
        """By proposal and seed what was measured, in points."""
        found: dict[int, dict[int, float]] = {}
        for number, result in self.taken_over.items():
            found.setdefault(number, {})[0] = POINTS * result.metrics[self.run.search.up]
        for one in self.trainings:
            if one.result is not None:
                found.setdefault(one.order.number, {})[one.order.seed] = POINTS * one.result.metrics[self.run.search.up]
        return {number: {s: v for s, v in seeds.items() if math.isfinite(v)} for number, seeds in found.items()}

    @cached_property
    def noise(self) -> float:
        """Variance of a training by chance, in squared points: pooled over repeats, `NOISE` until there are enough."""
        repeated = [np.array(list(seeds.values())) for seeds in self.values.values() if len(seeds) > 1]
        free = sum(len(each) - 1 for each in repeated)
        squares = sum(float(((each - each.mean()) ** 2).sum()) for each in repeated)
        return (squares + SEEDS * NOISE**2) / (free + SEEDS)

    @cached_property
    def observed(self) -> Observations:
        """For the process: one line per training that has come to its end, and per one that has come to the rung."""
        whole = [
            (self.places[number], 0, value, self.noise)
            for number, seeds in self.values.items()
            if number in self.places
            for value in seeds.values()
        ]
        there = [t for t in self.trainings if math.isfinite(t.signal) and t.order.number in self.places]
        return observations([*whole, *((self.places[one.order.number], 1, -one.signal, 0.0) for one in there)])

    @cached_property
    def pool(self) -> Pool:
        """All candidates; those without a cost have that of the dearest, and are never allowed."""
        costs = np.array([getattr(price, self.run.search.down) for price in self.prices])
        costs = np.where(np.isfinite(costs), costs, np.nanmax(costs))
        return Pool(self.run.search.space.features(self.run.search.space.candidates), np.log(costs))

    @cached_property
    def process(self) -> Process:
        """After all that was observed."""
        return Process(self.pool, self.observed)

    def prediction(self, place: int) -> tuple[float, ...]:
        """Mean, low and high (95 %) of what one training of a candidate will tell, in points; () before any has."""
        if not len(self.observed.which):
            return ()
        means, variances = self.process.predicted(np.array([place]))
        half = Z95 * float(variances[0] + self.noise) ** 0.5
        return float(means[0]), float(means[0]) - half, float(means[0]) + half

    @cached_property
    def minutes(self) -> Floats:
        """(N,): expected minutes of a whole training on one core.

        Multiply-adds say little of them across kinds of backbone, so they are learnt as scores are: from the options,
        by a process of their own over the logarithm.
        """
        results = [(t.order.number, t.result) for t in self.trainings if t.result is not None]
        paces = [
            *(
                (n, train_minutes(result.curve, self._epoch_images))
                for n, result in (*self.taken_over.items(), *results)
            ),
            *((t.order.number, t.pace) for t in self.trainings if t.result is None),
        ]
        known = [
            (self.places[number], 0, math.log(minutes), MINUTES_NOISE)
            for number, minutes in paces
            if number in self.places and math.isfinite(minutes)
        ]
        if len(known) < LEAST_KNOWN:
            return np.full(len(self.prices), MINUTES)
        seen = observations(known)
        expected = Process(self.pool, seen).predicted(np.arange(len(self.prices)))[0]
        return np.exp(np.clip(expected, seen.values.min() - FARTHEST, seen.values.max() + FARTHEST))

    def spent_by(self, training: Training) -> float:
        """Minutes of training on one core; of a paused one as expected, nan where it has come to no end."""
        if training.order.number not in self.places:
            return math.nan
        if training.paused:
            whole = training.pace if math.isfinite(training.pace) else self._expected(training)
            return whole * self.first
        if training.result is None:
            return math.nan
        return train_minutes(training.result.curve, self._epoch_images)

    @property
    def first(self) -> float:
        """The part of a training before its first rung; 1 without rungs."""
        return self.run.rung / self.run.job_protocol.epochs or 1.0

    @property
    def _epoch_images(self) -> int:
        return self.run.job_protocol.epoch_images

    @property
    def trained_minutes(self) -> float:
        """Minutes of all complete trainings on one core."""
        return sum(m for one in self.trainings if math.isfinite(m := self.spent_by(one)))

    @cached_property
    def spent(self) -> float:
        """Minutes of all trainings that were ordered, those under way as they are expected."""
        each = (self.spent_by(one) for one in self.trainings)
        return sum(
            minutes if math.isfinite(minutes) else (0.0 if one.closed else self._ordered(one))
            for one, minutes in zip(self.trainings, each, strict=True)
        )

    def _ordered(self, training: Training) -> float:
        return self._expected(training) * (self.first if training.order.until else 1.0)

    @property
    def begun(self) -> float:
        """Minutes that candidates have taken, and will take, up to the rung."""
        return self.first * sum(self._expected(one) for one in self.trainings if one.order.seed == 0)

    def _expected(self, training: Training) -> float:
        place = self.places.get(training.order.number)
        return float(self.minutes[place]) if place is not None else 0.0

    @property
    def open(self) -> list[Training]:
        """Trainings that have not come to an end."""
        return [one for one in self.trainings if not one.closed]

    def terms(self) -> Terms:
        """What may be proposed."""
        limits = self.run.all_limits
        allowed = np.array([price.admitted for price in self.prices])
        most = limits.get(self.run.search.down, math.inf)
        end = math.log(most) if math.isfinite(most) else float(self.pool.log_cost[allowed].max()) + 0.1
        return Terms(self.pool, allowed, self.minutes, self.noise, end, self.first, self.run.seed)

    @cached_property
    def at_rung(self) -> set[int]:
        """Proposals that wait at the rung."""
        return {one.order.number for one in self.trainings if one.paused}

    def outcomes(self) -> dict[int, Outcome]:
        """For Optuna: of each proposal that was trained the mean over its seeds, in 0..1, or why it failed."""
        waiting = {one.order.number for one in self.open if one.order.seed == 0}
        failed = {one.order.number: one.fault for one in self.trainings if one.fault and one.order.seed == 0}
        found: dict[int, Outcome] = {}
        for proposal in self.log.proposals:
            seeds = self.values.get(proposal.number, {})
            if seeds and proposal.number not in waiting:
                mean = sum(seeds.values()) / len(seeds) / POINTS
                found[proposal.number] = Outcome(mean, {"seeds": len(seeds)})
            elif proposal.number in failed:
                found[proposal.number] = Outcome(fault=failed[proposal.number])
        return found

    def trained(self) -> list[Proposal]:
        """Proposals with a number, in the order of their proposal."""
        there = (State.ORDERED, State.KNOWN)
        return [
            p for p in self.log.proposals if p.state in there and self.values.get(p.number) and p.number in self.places
        ]
