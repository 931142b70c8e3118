"""What to train next: the expected gain of hypervolume, the cost known exactly, per expected compute.

A proposal follows from what was observed, from the proposals so far and from a seed: nothing else is kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr

from workbench.experiments.search.front import Steps, front_of, steps_of
from workbench.experiments.search.process import Observations, Pool, Process
from workbench.tensors import Flags, Floats, Ints

SPREAD = 8  # first proposals, which are spread over the options
LOW = 1.645  # standard deviations below the mean: what is above the lowest 5 % has worth at any cost
BEGIN_COUNTS = 0.6  # of a training that beginning a candidate counts as at least, so that some of those that wait go on
LOOKED_AT = 500  # candidates that are predicted where there are more, and as many near the front


@dataclass(frozen=True)
class Terms:
    """What a search may propose.

    Fields:
        pool: all candidates; allowed: (N,) those that are within the limits and can be built.
        price: (N,) compute of a whole training; first_rung: the part of it before its first rung, 1 without rungs.
        noise: variance of a whole training's value by chance; end: log of the largest cost that counts.
        paid: (N,) those that the budget lets begin or go on; None: all. What is trained counts either way.
    """

    pool: Pool
    allowed: Flags
    price: Floats
    noise: float
    end: float
    first_rung: float = 1.0
    seed: int = 0
    paid: Flags | None = None


@dataclass(frozen=True)
class Proposal:
    """One candidate to train, or to go on with.

    Fields:
        promoted: it waits at the rung and goes on to the end; else it begins.
        mean, variance: what it is predicted to score, before this training.
        gain: expected gain of hypervolume per expected compute; 0 of the first ones, which are spread.
    """

    which: int
    promoted: bool = False
    mean: float = float("nan")
    variance: float = float("nan")
    gain: float = 0.0


def proposed(
    terms: Terms,
    seen: Observations,
    taken: Sequence[int],
    pending: Sequence[int] = (),
    model: type[Process] = Process,
) -> Proposal | None:
    """The next proposal.

    Args:
        taken: all candidates proposed so far, in order, whatever became of them; they are not begun again.
        pending: those of `taken` that are being trained to the end. They count with what is predicted of them.
        model: what predicts.

    Returns:
        None where nothing is left.
    """
    may = terms.allowed if terms.paid is None else terms.allowed & terms.paid
    left = may.copy()
    left[[*taken, *seen.which]] = False
    if (len(taken) < SPREAD and left.any()) or not len(seen.which):
        found = _spread(terms, np.flatnonzero(left), taken)
        return None if found is None else Proposal(found)
    rng = np.random.default_rng([terms.seed, len(taken), len(seen.which)])
    process = model(terms.pool, seen)
    if pending:
        waiting = np.asarray(pending, np.int64)
        process = model(terms.pool, seen.plus(waiting, process.predicted(waiting)[0], terms.noise))
    known = np.unique(process.seen.which[process.seen.rung == 0])
    paused = np.setdiff1d(process.seen.which, known)
    paused = paused[may[paused]]
    new = _looked_at(terms, np.flatnonzero(left), known if len(known) else paused, rng)
    return _best(terms, process, known[terms.allowed[known]], paused, new)


def _best(terms: Terms, process: Process, known: Ints, paused: Ints, new: Ints) -> Proposal | None:
    which = np.concatenate([paused, new])
    if not len(which):
        return None
    mean, variance = process.predicted(which)
    scores = process.predicted(known)[0] if len(known) else np.zeros(0)
    floor = float(np.mean(mean) - LOW * np.sqrt(np.mean(variance) + np.var(mean)))
    steps = steps_of(scores, terms.pool.log_cost[known], floor, terms.end)
    log_cost, price = terms.pool.log_cost[which], terms.price[which]
    gain = expected_gain(mean, np.sqrt(variance), log_cost, steps)
    first = terms.first_rung
    compute = price * np.where(np.arange(len(which)) < len(paused), 1 - first, 1.0)
    if first < 1:  # what begins goes on only where it is then expected to move the front
        begins = np.arange(len(which)) >= len(paused)
        above = ndtr((mean - steps.at(log_cost)) / np.sqrt(variance))
        compute[begins] *= np.maximum(first + (1 - first) * above[begins], BEGIN_COUNTS)
    at = int(np.argmax(gain / compute))
    return Proposal(
        int(which[at]), at < len(paused), float(mean[at]), float(variance[at]), float(gain[at] / compute[at])
    )


def expected_gain(mean: Floats, deviation: Floats, log_cost: Floats, steps: Steps) -> Floats:
    """(N,): by how much each would raise the area under the front, over log cost, on average over what it may score."""
    width = np.clip(steps.ends[None] - np.maximum(log_cost[:, None], steps.begins[None]), 0, None)  # (N, steps)
    deviation = np.maximum(deviation, 1e-12)[:, None]
    over = (mean[:, None] - steps.heights[None]) / deviation
    density = np.exp(-0.5 * over**2) / np.sqrt(2 * np.pi)
    return (width * deviation * (over * ndtr(over) + density)).sum(1)


def _spread(terms: Terms, left: Ints, taken: Sequence[int]) -> int | None:
    """Of some at random the one with most options that were seldom taken, for its price."""
    if not len(left):
        return None
    rng = np.random.default_rng([terms.seed, len(taken)])
    some = rng.permutation(left)[: min(LOOKED_AT, -(-len(left) // 2))]
    counts = terms.pool.features[list(taken)].sum(0) if len(taken) else np.zeros(terms.pool.features.shape[1])
    worth = terms.pool.features[some] @ (0.25**counts)
    return int(some[np.argmax(worth / np.sqrt(terms.price[some]))])


def _looked_at(terms: Terms, left: Ints, known: Ints, rng: np.random.Generator) -> Ints:
    """All that is left or, of many, some at random and those that differ least from the front."""
    if len(left) <= 2 * LOOKED_AT:
        return left
    features = terms.pool.features
    shared = (features[left] @ features[known].T).max(1) if len(known) else np.zeros(len(left))
    near = np.lexsort((rng.random(len(left)), -shared))[:LOOKED_AT]
    return np.union1d(left[near], rng.choice(left, LOOKED_AT, replace=False))


def front_so_far(process: Process, log_cost: Floats) -> Ints:
    """Of the candidates with a whole training those on the front of what is predicted, cheapest first."""
    known = np.unique(process.seen.which[process.seen.rung == 0])
    return known[front_of(process.predicted(known)[0], log_cost[known])] if len(known) else known
