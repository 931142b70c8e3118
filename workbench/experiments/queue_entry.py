"""What the queue says of a job, and when a job is left alone."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from workbench.training.record import is_complete
from workbench.training.rung import rung_of

WAS_KILLED = "its process was killed"  # the note of an attempt that could leave none
LIMIT = 3  # failures after which a key is left alone until `retry`


class JobState(StrEnum):
    """Where a job stands. Paused: it waits after an epoch that was asked for. Failed: it raised. Killed: its process
    ended. Infeasible: it was refused."""

    PLANNED = "planned"
    RUNNING = "running"
    PAUSED = "paused"
    COMPLETE = "complete"
    FAILED = "failed"
    KILLED = "killed"
    INFEASIBLE = "infeasible"


@dataclass(frozen=True)
class QueueEntry:
    """What the queue says of a job.

    Fields:
        failures: that count towards the limit; killed: how often its process was killed since this command began, and
            before another epoch was complete; ended: attempts that ended without a result, one way or another.
        note: the last error in one line; owner: host, process and start of the process at work on it.
        queued: it waits for a worker.
        rung: the last epoch that it has paused after, 0 for none.
    """

    state: JobState
    failures: int = 0
    killed: int = 0
    ended: int = 0
    note: str = ""
    owner: str = ""
    queued: bool = False
    rung: int = 0

    def reached(self, until: int) -> bool:
        """Whether all has been done that a plan asks of the job: epoch `until`, or with 0 the whole."""
        return self.state is JobState.COMPLETE or 0 < until <= self.rung


def gives_up(entry: QueueEntry) -> bool:
    """Whether a job is left alone until `retry`."""
    return entry.state is JobState.INFEASIBLE or entry.failures >= LIMIT or entry.killed >= LIMIT


def is_due(entry: QueueEntry, until: int) -> bool:
    """Whether a job is to be queued, of which epoch `until` is asked for, or with 0 the whole."""
    open_ = entry.state in (JobState.PLANNED, JobState.PAUSED, JobState.FAILED, JobState.KILLED) and not entry.queued
    return open_ and not entry.reached(until) and not gives_up(entry)


def recorded_entry(folder: Path) -> QueueEntry:
    """What the folder of a job alone says."""
    if is_complete(folder):
        return QueueEntry(JobState.COMPLETE)
    rung = rung_of(folder)
    return QueueEntry(JobState.PAUSED if rung else JobState.PLANNED, rung=rung)
