"""What was found out about a data set: faults, for which it is refused, and what was put right or left out."""

from __future__ import annotations

from collections.abc import Mapping

SHOWN = 3  # offenders that a line names


class Findings:
    """Collects by kind; each kind becomes one line with a count and the first offenders.

    Fields:
        found: faults; noted: what was put right, left out or is worth a look. Of each kind, whose it is.
    """

    def __init__(self) -> None:
        self.found: dict[str, list[str]] = {}
        self.noted: dict[str, list[str]] = {}

    def add(self, kind: str, *who: object) -> None:
        """One more fault of a kind and whose it is; nobody's where it concerns the whole."""
        self.found.setdefault(kind, []).extend(str(one) for one in who)

    def note(self, kind: str, *who: object) -> None:
        """The same of what is no fault."""
        self.noted.setdefault(kind, []).extend(str(one) for one in who)

    def lines(self) -> list[str]:
        return _lines(self.found)

    def notes(self) -> list[str]:
        return _lines(self.noted)

    def copied(self) -> Findings:
        """The same, to be added to without changing this one."""
        other = Findings()
        other.found |= {kind: list(who) for kind, who in self.found.items()}
        other.noted |= {kind: list(who) for kind, who in self.noted.items()}
        return other

    def __bool__(self) -> bool:
        """Whether there is a fault."""
        return bool(self.found)


def _lines(kinds: Mapping[str, list[str]]) -> list[str]:
    return [f"{kind}: {len(who):,}, first {', '.join(who[:SHOWN])}" if who else kind for kind, who in kinds.items()]
