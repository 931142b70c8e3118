"""Which runs are compared: those of rows that differ in nothing but the row, each run once.

One run that counted twice would be two seeds that agree because they are the same, and runs of other arithmetic differ
in more than their row. Both are left out, and it is said how many.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from workbench.study import Contrast, PlannedJob
from workbench.training.record import Result, arithmetic_of

Results = Sequence[tuple[PlannedJob, Result]]


@dataclass(frozen=True)
class Pair:
    """Runs that differ in nothing but the row: one on each side, or two where differences are compared.

    Fields:
        ahead: those that count for the difference; behind: those that count against it.
    """

    trunk: str
    seed: int
    ahead: tuple[Result, ...]
    behind: tuple[Result, ...]

    @property
    def runs(self) -> tuple[Result, ...]:
        return (*self.ahead, *self.behind)


@dataclass(frozen=True)
class Pairing:
    """The complete pairs of a contrast, trunk by trunk, and how many were left out of them.

    Fields:
        one_job: pairs in which one job stands for two rows, which says nothing against itself.
        again: pairs with a job that counts already: the same run twice is no second seed.
        unlike: pairs whose runs were computed in different ways, by what these are.
    """

    pairs: list[Pair]
    one_job: int = 0
    again: int = 0
    unlike: Mapping[str, int] = field(default_factory=dict)

    @property
    def left_out(self) -> str:
        """What was left out and why, as the end of a sentence; empty where nothing was."""
        found = [f"{count} {_pairs(count)} left out: {ways}" for ways, count in self.unlike.items()]
        found += [f"{self.again} {_pairs(self.again)} left out: their runs count already"] * bool(self.again)
        found += [f"{self.one_job} {_pairs(self.one_job)} left out: one job in two rows"] * bool(self.one_job)
        return "".join(f"; {words}" for words in found)


def _pairs(count: int) -> str:
    return "pair" if count == 1 else "pairs"


def pairing_of(contrast: Contrast, results: Results) -> Pairing:
    """The pairs of a contrast: same seed, same trunk, computed alike, each job once.

    An A/A row is paired by the number of its seed, too: its seeds differ, their count does not.
    """
    found = {(job.row, job.seed, job.trunk): (job.job.key, result) for job, result in results}
    spots = sorted({(job.trunk, job.seed) for job, _ in results})
    kept: list[Pair] = []
    counted: set[str] = set()
    left = Counter[str]()
    unlike = Counter[str]()
    for trunk, seed in spots:
        there = [found.get((row, seed, trunk)) for row in (*contrast.ahead, *contrast.behind)]
        runs = [one for one in there if one is not None]
        if len(runs) < len(there):
            continue
        keys, ways = {key for key, _ in runs}, dict.fromkeys(arithmetic_of(run.tags) for _, run in runs)
        if len(keys) < len(runs):
            left["one job"] += 1
        elif keys & counted:
            left["again"] += 1
        elif len(ways) > 1:
            unlike[" beside ".join(ways)] += 1
        else:
            each = tuple(run for _, run in runs)
            kept.append(Pair(trunk, seed, each[: len(contrast.ahead)], each[len(contrast.ahead) :]))
            counted |= keys
    return Pairing(kept, left["one job"], left["again"], dict(unlike))


def differences(found: Sequence[Pair], metric: str) -> list[float]:
    """What is ahead minus what is behind, of each pair."""
    return [_sum(pair.ahead, metric) - _sum(pair.behind, metric) for pair in found]


def _sum(runs: Sequence[Result], metric: str) -> float:
    return sum(run.metrics[metric] for run in runs)


def block_differences(found: Sequence[Pair], metric: str) -> list[float]:
    """The same: one per seed, or with trunks one per trunk, its seeds averaged."""
    by_block: dict[str | int, list[float]] = {}
    for pair, value in zip(found, differences(found, metric), strict=True):
        by_block.setdefault(pair.trunk or pair.seed, []).append(value)
    return [sum(values) / len(values) for values in by_block.values()]
