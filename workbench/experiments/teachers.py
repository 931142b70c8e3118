"""Who taught the trunks that a claim is judged on.

Trunks of one teacher and other seeds differ by chance, as seeds do, so they are repeats. Teachers do not: where the
answer depends on who taught the trunk, more trunks of each only make that clearer. So a claim is judged over the trunks
of one teacher, and those of the others stand beside it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from workbench.evaluation.intervals import Interval
from workbench.models.trunk import teacher_of
from workbench.study import Better, StudyProtocol


@dataclass(frozen=True)
class Trunks:
    """The trunks of a protocol as a claim takes them.

    Fields:
        counted: those that its interval is over.
        teacher: of these; "" where each has another one, and chance and teacher can not be told apart.
        beside: the others, by their teacher.
        agree: whether those beside must lie on the same side.
    """

    counted: tuple[str, ...]
    teacher: str = ""
    beside: Mapping[str, tuple[str, ...]] | None = None
    agree: bool = True

    @property
    def needed(self) -> tuple[str, ...]:
        """Those without which there is no verdict."""
        others = (self.beside or {}).values() if self.agree else ()
        return (*self.counted, *(name for mine in others for name in mine))

    def others(self, per_trunk: Mapping[str, Interval]) -> dict[str, float]:
        """The mean difference of each other teacher that has one, by who that is."""
        found = {who: [per_trunk[t].mean for t in mine if t in per_trunk] for who, mine in (self.beside or {}).items()}
        return {taught(who): float(np.mean(means)) for who, means in found.items() if means}


def trunks_of(claim: Better, protocol: StudyProtocol) -> Trunks:
    """The trunks of the claim's teacher; of the first trunk's where it names none and some trunks share theirs.

    Where none do, every trunk counts.
    """
    by_teacher: dict[str, tuple[str, ...]] = {}
    for trunk in protocol.trunks:
        by_teacher[teacher_of(trunk)] = (*by_teacher.get(teacher_of(trunk), ()), trunk)
    if not claim.teacher and len(by_teacher) == len(protocol.trunks):
        return Trunks(protocol.trunks)
    teacher = claim.teacher or teacher_of(protocol.trunks[0])
    counted = by_teacher.pop(teacher, ())
    return Trunks(counted, teacher, by_teacher, agree=not claim.teacher)


def taught(teacher: str) -> str:
    """As it reads after "taught"."""
    return "jointly" if teacher == "joint" else f"by {teacher}"
