"""Whether all rows of a study fail alike: then more attempts would tell nothing, and the study stops early."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

from workbench.experiments.queue_entry import WAS_KILLED, JobState, QueueEntry

_OWN = re.compile(r"\b[0-9a-f]{8,}\b|\d+")  # keys and numbers, which differ from job to job


class JobEnd(NamedTuple):
    """What is known of a job since the command began: its row, whether an attempt failed and why, or all went well."""

    row: str
    note: str
    complete: bool


class AllFailAlike(Exception):
    """Every row has failed, for one reason, and none went well."""


def job_end(row: str, entry: QueueEntry, ended: int) -> JobEnd:
    """What is known of a job of which so many attempts had ended when the command began.

    Who kills a process has a reason outside of its row.
    """
    note = entry.note if entry.ended > ended and entry.note != WAS_KILLED else ""
    return JobEnd(row, note, entry.state is JobState.COMPLETE)


def common_failure(attempts: Iterable[JobEnd]) -> str:
    """The reason for which every row has failed at least once; "" where there are several, or one row is all."""
    notes, last = dict[str, set[str]](), ""
    for one in attempts:
        if one.complete:
            return ""
        found = notes.setdefault(one.row, set[str]())
        if one.note:
            found.add(_OWN.sub("#", one.note))
            last = one.note
    reasons = set[str]().union(*notes.values())
    return last if len(notes) > 1 and all(notes.values()) and len(reasons) == 1 else ""
