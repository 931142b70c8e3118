"""The front: which candidates none is both better and cheaper than, how sure that is, and what each option is worth."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from workbench.experiments.search.process import Process
from workbench.space import Candidate, Search, Space
from workbench.tensors import Flags, Floats, Ints

Z95 = 1.959964
COST_RESOLUTION = 0.01  # a network that is better and costs one percent more leaves the cheaper one no place
DRAWS = 2_000


def front_of(values: Floats, log_cost: Floats, near: float = 0.0) -> Ints:
    """Places of those that none beats: cheapest first, each better than all before it. Of equals the first.

    Args:
        near: what is better and costs at most so much more (by the logarithm) beats as well.
    """
    order = np.lexsort((-values, log_cost))
    best = np.maximum.accumulate(np.concatenate([[-np.inf], values[order]]))[:-1]
    front = order[values[order] > best]
    return front[np.append(np.diff(log_cost[front]) > near, True)] if near and len(front) else front


def front_ranks(values: Floats, log_cost: Floats) -> Ints:
    """(N,): 0 on the front, 1 on that of the rest, and so on."""
    ranks, left = np.full(len(values), -1, np.int64), np.arange(len(values))
    while len(left):
        here = front_of(values[left], log_cost[left])
        ranks[left[here]] = ranks.max() + 1
        left = np.delete(left, here)
    return ranks


class Steps(NamedTuple):
    """The front as a staircase over log cost: each height holds from where it begins to where it ends."""

    begins: Floats
    ends: Floats
    heights: Floats

    def at(self, log_cost: Floats) -> Floats:
        """The height at some costs."""
        return self.heights[np.searchsorted(self.begins, log_cost, side="right") - 1]


def steps_of(values: Floats, log_cost: Floats, floor: float, end: float) -> Steps:
    """Of the front of some candidates, from below all costs at `floor` on to `end`; what lies below the floor is it."""
    on = front_of(values, log_cost)
    begins = np.concatenate([[-np.inf], log_cost[on]])
    return Steps(begins, np.append(begins[1:], end), np.maximum(np.concatenate([[floor], values[on]]), floor))


def hypervolume(values: Floats, log_cost: Floats, floor: float, end: float) -> float:
    """The area between the front and `floor`, over log cost, up to `end`."""
    begins, ends, heights = steps_of(values, log_cost, floor, end)
    return float((np.clip(ends - begins, 0, None)[1:] * (heights[1:] - floor)).sum())


class Estimate(NamedTuple):
    """A mean with its interval of 95 %."""

    mean: float
    low: float
    high: float


def _estimate(mean: float, variance: float) -> Estimate:
    half = Z95 * max(variance, 0.0) ** 0.5
    return Estimate(mean, mean - half, mean + half)


@dataclass(frozen=True)
class FrontPoint:
    """A candidate as the front sees it: `chance` to be on it."""

    which: int
    score: Estimate
    cost: float
    chance: float
    on_front: bool


def front_points(process: Process, which: Ints, within: Flags, seed: int = 0) -> list[FrontPoint]:
    """Some candidates as given: what they are estimated to score, and their chance in draws of all together.

    Args:
        within: (N,) those within the limits: no other one is on the front.
    """
    mean, covariance = process.joint(which)
    log_cost, inside, chances = process.pool.log_cost[which], np.flatnonzero(within), np.zeros(len(which))
    on = set(inside[front_of(mean[inside], log_cost[inside], COST_RESOLUTION)].tolist())
    chances[inside] = chance_of_front(mean[inside], covariance[np.ix_(inside, inside)], log_cost[inside], seed)
    return [
        FrontPoint(
            int(one), _estimate(mean[i], covariance[i, i]), float(np.exp(log_cost[i])), float(chances[i]), i in on
        )
        for i, (one, chance) in enumerate(zip(which, chances.tolist(), strict=True))
    ]


def chance_of_front(mean: Floats, covariance: Floats, log_cost: Floats, seed: int = 0, draws: int = DRAWS) -> Floats:
    """(N,): how often each is on the front, in draws of all scores together."""
    values, vectors = np.linalg.eigh(covariance)
    rng = np.random.default_rng(seed)
    drawn = mean + rng.normal(size=(draws, len(mean))) @ (vectors * np.sqrt(np.maximum(values, 0))).T
    counts = np.zeros(len(mean))
    for one in drawn:
        counts[front_of(one, log_cost, COST_RESOLUTION)] += 1
    return counts / draws


@dataclass(frozen=True)
class Effect:
    """What an option is worth against the first of its factor, on average over all else that can be chosen.

    Fields:
        score: difference; cost: ratio (geometric mean).
    """

    factor: str
    label: str
    first: str
    score: Estimate
    cost: float


def effects_of(space: Space, process: Process) -> list[Effect]:
    """Of every option but the first ones. The process has to be one over all of the space, in its order."""
    mean, covariance = process.joint(np.arange(len(space)))
    place, found = {pair: i for i, pair in enumerate(space.columns)}, []
    for factor in space.factors:
        first = factor.labels[0]
        for label in factor.labels[1:]:
            here, there = (process.pool.features[:, place[factor.name, name]] for name in (label, first))
            by = here / here.sum() - there / there.sum()
            score = _estimate(float(by @ mean), float(by @ covariance @ by))
            found.append(Effect(factor.name, label, first, score, float(np.exp(by @ process.pool.log_cost))))
    return found


_STUDY = '''"""The front of {search}: does each network beat the next cheaper one?

Run:   nox -s study -- {name} --until decided

Written from the search, cheapest first; costs are {down} of the published size.
"""

from studies.{search} import STUDY as SEARCH
from workbench.study import Better, Row, Study

CHOSEN: dict[str, dict[str, str]] = {{
{chosen}
}}


def row(label: str) -> Row:
    return SEARCH.as_row(SEARCH.space.candidate(CHOSEN[label]), label)


STUDY = Study(
    name="{name}",
    question="Does each network on the front of {search} beat the next cheaper one?",
    source="the search {search}",
    base=SEARCH.base,
    rows=tuple(map(row, CHOSEN)),
    claims=({claims}),
    default=SEARCH.default,
    whole="the rows change what a frozen trunk computes",
)
'''


def as_study(search: Search, name: str, front: Sequence[Candidate], costs: Sequence[float]) -> str:
    """The text of `studies/NAME.py`: a row for each candidate, and one claim for each pair of neighbours.

    Args:
        front: at least one; costs: of each, in the unit of `search.down`.
    """
    ordered = [front[i] for i in np.argsort(costs, kind="stable")]
    lines = [f"    {_quoted(one.text)}: {_chosen(dict(one.pairs))}," for one in ordered]
    claims = [
        f"        Better({_quoted(f'F{i}')},\n               {_folded(_difference(b, a))},\n"
        f"               {_quoted(b.text)},\n               {_quoted(a.text)},\n"
        f"               metric={_quoted(search.up)}, from_scratch=True),\n"
        for i, (a, b) in enumerate(pairwise(ordered), start=1)
    ]
    joined = "\n" + "".join(claims) + "    " if claims else ""
    return _STUDY.format(search=search.name, name=name, down=search.down, chosen="\n".join(lines), claims=joined)


def _difference(costlier: Candidate, cheaper: Candidate) -> str:
    """The claim in words: only what the two do not share."""
    words, others = (one.text.split(", ") for one in (costlier, cheaper))
    here, there = (", ".join(w for w in a if w not in b) for a, b in ((words, others), (others, words)))
    return f"{here} beats {there}"


def _chosen(pairs: Mapping[str, str]) -> str:
    """A mapping over as many lines as it takes."""
    said = ", ".join(f"{_quoted(name)}: {_quoted(label)}" for name, label in pairs.items())
    return "{\n" + textwrap.fill(said, 110, initial_indent=" " * 8, subsequent_indent=" " * 8) + ",\n    }"


def _folded(text: str) -> str:
    """A text over as many lines as it takes."""
    *lines, last = textwrap.wrap(text, 95)
    return f"\n{' ' * 15}".join(map(_quoted, [*(f"{line} " for line in lines), last]))


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
