"""The fairness audit of a study: what differs between its rows besides what the rows name.

What is measured of one row stands in `audit_row` and `audit_facts`, what differs between two in `audit_pair`; here both
become the lines of a table. All of it runs on the CPU in float32 on one thread, because sums on two round otherwise,
and is the same for the same seed.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from typing import Literal

import torch

from workbench.experiments.audit_facts import BATCHES
from workbench.experiments.audit_pair import facts_apart, share_flags, unnamed
from workbench.experiments.audit_row import RowAudit, audited_row
from workbench.experiments.plan import StudyRun
from workbench.study import Study
from workbench.training.source import open_source

Kind = Literal["job", "fact", "switch", "share", "differs", "flag"]


@dataclass(frozen=True)
class AuditLine:
    """One finding about a row.

    Fields:
        kind: "job": `value` is the key of the job; "fact": `name` is `value`; "switch": at `moment` the target or the
            weight `name` becomes `value`; "share": at `moment` the term `name` makes the share `value` of the gradient
            of `part`; "differs": `name` is `value` here and `other` in row `than`; "flag": `value` says what
            is not fair, `than` in comparison with which row, if with any.
    """

    row: str
    kind: Kind
    name: str = ""
    value: str = ""
    than: str = ""
    other: str = ""
    moment: str = ""
    part: str = ""


def audit_study(run: StudyRun, steps: int | None = None) -> list[AuditLine]:
    """Measures and compares the rows of a study, first seed, first trunk. A row that repeats the base is left out.

    Args:
        steps: how far every row is trained; None takes the weights of complete jobs, and trains other rows a little.

    Raises:
        Refused: the data set is missing or not the one that the jobs were declared with.
    """
    again = {row.label for row in run.study.rows if row.seed_offset}
    every = run.jobs(1)
    planned = [one for one in every if one.row not in again and one.trunk == every[0].trunk]
    with _one_thread():
        batches = list(islice(open_source(planned[0].job, 0, run.home, run.data).train(0), BATCHES))
        found = {one.row: audited_row(run, one, batches, steps) for one in planned}
    return [
        *(line for row in found.values() for line in row_lines(row)),
        *(line for label, than in compared(run.study) for line in pair_lines(run, found[label], found[than])),
    ]


@contextmanager
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def compared(study: Study) -> list[tuple[str, str]]:
    """Each row with those that claims compare it with; where there are none, with the first row."""
    rows = [row.label for row in study.rows if not row.seed_offset]
    pairs = [pair for claim in study.claims for pair in claim.pairs if set(pair) <= set(rows)]
    claimed = {row for row, _ in pairs}
    pairs += [(row, rows[0]) for row in rows[1:] if row not in claimed]
    return sorted(dict.fromkeys(pairs), key=lambda pair: rows.index(pair[0]))


def row_lines(row: RowAudit) -> Iterator[AuditLine]:
    """What was measured of a row, and the flag of a teacher that comes too early."""
    yield AuditLine(row.label, "job", value=row.job.key)
    for name, value in row.known.items():
        yield AuditLine(row.label, "fact", name, value)
    for switch in row.switches:
        for name, value in switch.changes.items():
            yield AuditLine(row.label, "switch", name, value, moment=switch.moment)
    for moment, found in row.moments.items():
        for part, terms in found.shares.items():
            for term, share in terms.items():
                yield AuditLine(row.label, "share", term, f"{share:.4f}", moment=moment, part=part)
    if row.teacher:
        yield AuditLine(row.label, "fact", "teacher", row.teacher.said)
        if row.teacher.knows_less:
            yield AuditLine(row.label, "flag", "teacher", f"teacher is worse than its pupil: {row.teacher.said}")


def pair_lines(run: StudyRun, row: RowAudit, than: RowAudit) -> Iterator[AuditLine]:
    """What differs between two rows besides what the first one names, and the flags of shares."""
    (spec,) = (one for one in run.study.rows if one.label == row.label)
    apart = unnamed(run, spec, row.job, than.job) | facts_apart(row, than)
    for name, (mine, other) in apart.items():
        yield AuditLine(row.label, "differs", name, mine, than=than.label, other=other)
    for part, sentence in share_flags(row, than).items():
        yield AuditLine(row.label, "flag", part, sentence, than=than.label)
