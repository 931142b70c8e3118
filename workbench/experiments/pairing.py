"""Which runs are compared: pairs of two rows that differ in nothing but the row, each run once.

One run that counted twice would be two seeds that agree because they are the same, and runs of other arithmetic differ
in more than their row. Both are left out, and it is said how many.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from workbench.study import PlannedJob
from workbench.training.record import FIRST_NUMERICS, Result

Results = Sequence[tuple[PlannedJob, Result]]


@dataclass(frozen=True)
class Pair:
    """Two runs that differ in nothing but the row."""

    trunk: str
    seed: int
    row: Result
    than: Result


@dataclass(frozen=True)
class Pairing:
    """The complete pairs of two rows, trunk by trunk, and how many were left out of them.

    Fields:
        one_job: pairs whose two sides are one job, which says nothing against itself.
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
        found += [f"{self.one_job} {_pairs(self.one_job)} left out: one job on both sides"] * bool(self.one_job)
        return "".join(f"; {words}" for words in found)


def _pairs(count: int) -> str:
    return "pair" if count == 1 else "pairs"


def arithmetic(result: Result) -> str:
    """How a run was computed: its precision, and the version of what training computes."""
    return (
        f"{result.tags.get('precision', 'unknown precision')}, numerics {result.tags.get('numerics', FIRST_NUMERICS)}"
    )


def pairing_of(row: str, than: str, results: Results) -> Pairing:
    """The pairs of two rows: same seed, same trunk, computed alike, each job once.

    An A/A row is paired by the number of its seed, too: its seeds differ, their count does not.
    """
    found = {(job.row, job.seed, job.trunk): (job.job.key, result) for job, result in results}
    spots = sorted({(job.trunk, job.seed) for job, _ in results})
    kept: list[Pair] = []
    counted: set[str] = set()
    left = Counter[str]()
    unlike = Counter[str]()
    for trunk, seed in spots:
        one, other = found.get((row, seed, trunk)), found.get((than, seed, trunk))
        if one is None or other is None:
            continue
        (key, mine), (key_than, its) = one, other
        if key == key_than:
            left["one job"] += 1
        elif {key, key_than} & counted:
            left["again"] += 1
        elif arithmetic(mine) != arithmetic(its):
            unlike[f"{arithmetic(mine)} beside {arithmetic(its)}"] += 1
        else:
            kept.append(Pair(trunk, seed, mine, its))
            counted |= {key, key_than}
    return Pairing(kept, left["one job"], left["again"], dict(unlike))


def differences(found: Sequence[Pair], metric: str) -> list[float]:
    """Row minus than of each pair."""
    return [pair.row.metrics[metric] - pair.than.metrics[metric] for pair in found]


def block_differences(found: Sequence[Pair], metric: str) -> list[float]:
    """Row minus than: one per seed, or with trunks one per trunk, its seeds averaged."""
    by_block: dict[str | int, list[float]] = {}
    for pair, value in zip(found, differences(found, metric), strict=True):
        by_block.setdefault(pair.trunk or pair.seed, []).append(value)
    return [sum(values) / len(values) for values in by_block.values()]
