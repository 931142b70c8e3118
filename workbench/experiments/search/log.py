"""The log of a search: what was proposed and what was ordered, in that order. It alone, with the results of jobs,
decides what comes next, so a search that was killed goes on from it.

HOME/searches/NAME/log.jsonl    one line per proposal and per order, appended before the job is queued; see `shared_log`
                                for machines without a common folder
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

from workbench.core.files import locked


class State(StrEnum):
    """What became of a proposal before any training. Known: its numbers are there from another search or study."""

    ORDERED = "ordered"
    KNOWN = "known"
    OVER = "over a limit"
    IMPOSSIBLE = "impossible"
    SAME = "the same as another"


@dataclass(frozen=True)
class Proposal:
    """A candidate that was proposed, and what the checks said of it.

    Fields:
        number: from 0 on; pairs: factor and label, as of `Candidate`; key: of its job with the first seed.
        why: of the state, "" where it was ordered.
        costs: what was counted or measured; empty where it is impossible. timed: its "ms" was measured, not predicted.
        predicted: mean, low and high of the metric before anything of it was known; () without a model.
        gain: what the proposer expected of it; by: the sampler.
    """

    number: int
    pairs: tuple[tuple[str, str], ...]
    state: State
    why: str = ""
    key: str = ""
    costs: Mapping[str, float] = field(default_factory=dict)
    predicted: tuple[float, ...] = ()
    gain: float = 0.0
    by: str = ""
    timed: bool = False


@dataclass(frozen=True)
class Order:
    """A training that was ordered: of proposal `number`, with a seed, until an epoch (0: whole), and what for."""

    number: int
    seed: int = 0
    until: int = 0
    purpose: str = "explore"


@dataclass(frozen=True)
class Log:
    """All lines of a search so far."""

    proposals: tuple[Proposal, ...] = ()
    orders: tuple[Order, ...] = ()

    @property
    def length(self) -> int:
        """In lines."""
        return len(self.proposals) + len(self.orders)

    def orders_of(self, number: int) -> list[Order]:
        """Of a proposal, in order."""
        return [one for one in self.orders if one.number == number]


class LogFile:
    """The file of a search. Lines are only ever added, whole ones, by one process at a time."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "log.jsonl"

    def read(self) -> Log:
        """What stands in it; nothing where there is no file. A last line that was cut off does not count."""
        if not self.path.exists():
            return Log()
        proposals: list[Proposal] = []
        orders: list[Order] = []
        for text in self.path.read_text("utf-8").splitlines(keepends=True):
            if text.endswith("\n"):
                line = json.loads(text)
                if "order" in line:
                    orders.append(Order(**line["order"]))
                else:
                    proposals.append(_proposal(line["proposal"]))
        return Log(tuple(proposals), tuple(orders))

    def add(self, *lines: Proposal | Order) -> None:
        """Adds lines. A process that is killed here may leave the first of them alone."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with locked(self.path.with_suffix(".lock")), self.path.open("r+" if self.path.exists() else "w+") as file:
            text = file.read()
            file.seek(text.rfind("\n") + 1)  # over what a killed process left of a line
            file.truncate()
            file.write("".join(json.dumps({_word(one): asdict(one)}) + "\n" for one in lines))


def _word(line: Proposal | Order) -> str:
    return "order" if isinstance(line, Order) else "proposal"


def _proposal(fields: dict[str, Any]) -> Proposal:
    pairs: Sequence[Sequence[str]] = fields["pairs"]
    made = {
        "pairs": tuple((str(name), str(label)) for name, label in pairs),
        "state": State(fields["state"]),
        "predicted": tuple(fields["predicted"]),
    }
    return Proposal(**{**fields, **made})
