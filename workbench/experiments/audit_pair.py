"""What differs between two rows of a study besides what the first one names."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from workbench.experiments.audit_row import AT_START, BEGUN, TRAINED, RowAudit
from workbench.experiments.noop_check import different
from workbench.experiments.plan import StudyRun
from workbench.models.job import Job
from workbench.study import Row, changes_made
from workbench.training.gradients import BOX

TIMES = 5.0  # a share this many times another is flagged
LEAST = 0.01  # unless both are below this
SIDE_PATH = 0.1  # a loss that makes so much of the boxes' gradient, where another one does in the other row, is flagged
CROWDED = 1.2  # rows whose positives differ by this factor are named; with initial weights whenever they differ
ABSENT = "nothing"


def unnamed(run: StudyRun, row: Row, job: Job, than: Job) -> dict[str, tuple[str, str]]:
    """The paths at which two jobs differ and which the row's changes do not name: the values of `job` and of `than`.

    Below a component that is another one its fields are left out. So is the job that one begins with: it differs by
    what its row names.
    """
    made = changes_made(run.study.base, row.changes, run.protocol.scale)
    named = [path if path.startswith("protocol.") else f"variant.{path}" for path in made]
    apart, mine, other = different(than, job), dict(job.flat()), dict(than.flat())

    def below(path: str, heads: Sequence[str]) -> bool:
        return any(path.startswith(f"{head}.") for head in heads)

    return {
        path: (f"{mine.get(path, ABSENT)}", f"{other.get(path, ABSENT)}")
        for path in apart
        if path not in named and not below(path, [*named, *apart, "start"])
    }


def facts_apart(row: RowAudit, than: RowAudit) -> dict[str, tuple[str, str]]:
    """The facts that differ, both values."""
    theirs = than.known
    found = {name: (value, theirs.get(name, ABSENT)) for name, value in row.known.items()}
    return {name: pair for name, pair in found.items() if not _alike(name, *pair)}


def _alike(name: str, mine: str, other: str) -> bool:
    if name in (BEGUN, TRAINED) and ABSENT not in (mine, other):
        return max(float(mine), float(other)) <= CROWDED * min(float(mine), float(other))
    return mine == other


def share_flags(row: RowAudit, than: RowAudit) -> dict[str, str]:
    """By part a sentence on the terms whose shares differ by `TIMES`, at the moment where they differ most.

    Terms that only one of the rows has are compared together, as what stands in the other's place. Where the other has
    none, the rows' names say so: they flag nothing, but are named where they have taken the place of others. Weights of
    different age are not compared.

    Of the boxes terms are flagged as well that stand in each other's place with equal shares: a row that names another
    loss of key points names nothing of boxes, and what moves them is another one all the same.
    """
    worst: dict[str, tuple[float, str]] = {}
    same_age = row.weights == than.weights
    for moment in [name for name in row.moments if name in than.moments and (same_age or name == AT_START)]:
        mine, other = row.moments[moment].shares, than.moments[moment].shares
        for part in [name for name in mine if name in other]:
            known = list(_matched(mine[part], other[part]))
            most = max(one.weight(part) for one in known)
            if most > worst.get(part, (0.0, ""))[0]:
                named = [one for one in known if one.apart or one.weight(part)]
                worst[part] = most, f"{_sentence(part, named, than.label)} ({moment})"
    return {part: sentence for part, (_, sentence) in worst.items()}


@dataclass(frozen=True)
class _Pair:
    """What is compared: a term or several with their share in one row, 0..1, and what stands in their place there.

    `place` and `term` are "" where nothing does.
    """

    term: str
    share: float
    place: str
    other: float

    @property
    def gain(self) -> float:
        return self.share - self.other

    @property
    def apart(self) -> bool:
        low, high = sorted((self.share, self.other))
        return high >= LEAST and high > TIMES * low

    def weight(self, part: str) -> float:
        """How much it differs, 0 where it is not to be flagged."""
        if not (self.term and self.place):
            return 0.0
        least = min(self.share, self.other)
        side_path = part == BOX and self.term != self.place and least >= SIDE_PATH
        return abs(self.gain) if self.apart else least if side_path else 0.0

    @property
    def name(self) -> str:
        return self.term or self.place

    @property
    def against(self) -> str:
        return _percent(self.other) + (f" of {self.place}" if self.term and self.place not in ("", self.term) else "")


def _sentence(part: str, apart: Sequence[_Pair], than: str) -> str:
    """What differs most comes first, and of two that differ as much what the row has more of."""
    first, *others = sorted(apart, key=lambda one: (-round(abs(one.gain), 3), -one.gain))
    said = f"{first.name} makes {_percent(first.share)} of the gradient of the {part}, {first.against} in {than!r}"
    return said + "".join(f"; {one.name} {_percent(one.share)} against {one.against}" for one in others)


def _matched(mine: Mapping[str, float], other: Mapping[str, float]) -> Iterator[_Pair]:
    """The terms of two rows that are compared with each other."""
    for term in [name for name in mine if name in other]:
        yield _Pair(term, mine[term], term, other[term])
    own, theirs = ([t for t in a if t not in b] for a, b in ((mine, other), (other, mine)))
    sums = sum(mine[t] for t in own), sum(other[t] for t in theirs)
    yield _Pair(" and ".join(own), sums[0], " and ".join(theirs), sums[1])


def _percent(share: float) -> str:
    return "0 %" if share == 0 else f"{100 * share:.1f} %" if share >= 0.001 else "less than 0.1 %"
