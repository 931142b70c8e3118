"""How long a round of jobs still takes, by the clock, from what this command has seen of it.

A job counts by the images that it trains on. One on a frozen trunk is far quicker per image than one that is trained
whole, and comes first, so either kind has a speed of its own; as long as only one has been seen, the other is taken to
be no quicker, and what is said is "more than". What an earlier command did of a job tells nothing of the speed.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from workbench.experiments.queue_entry import JobState, QueueEntry
from workbench.study import PlannedJob
from workbench.training.record import Progress

_LEAST = 0.02  # of a job, before which nothing is said


class Left(NamedTuple):
    """Seconds. `more`: some kind of job was not seen yet, and may take longer."""

    seconds: float
    more: bool


class TimeLeft:
    """Is told again and again how far jobs have come."""

    def __init__(self) -> None:
        self._then = 0.0
        self._busy: list[bool] = []  # the kinds of the jobs that ran then
        self._waited: set[str] = set()  # jobs that had done nothing when they were looked at
        self._seen: dict[str, float] = {}  # the last share of each other one
        self._spent: defaultdict[bool, float] = defaultdict(float)  # seconds of the clock, by kind
        self._trained: defaultdict[bool, float] = defaultdict(float)  # images since the start of this command
        self._jobs: defaultdict[bool, float] = defaultdict(float)  # the same in jobs

    def look(
        self,
        planned: Sequence[PlannedJob],
        entries: Mapping[str, QueueEntry],
        running: Mapping[str, Progress | None],
        now: float,
    ) -> Left | None:
        """What is left; None as long as next to nothing is known."""
        jobs = {one.job.key: one for one in planned}
        shares = {key: _share(one, entries[key], running.get(key)) for key, one in jobs.items()}
        self._spend(jobs, entries, now)
        for key, one in jobs.items():
            self._count(one, shares[key])
        return self._left(jobs, shares)

    def _spend(self, jobs: Mapping[str, PlannedJob], entries: Mapping[str, QueueEntry], now: float) -> None:
        """The seconds since the last look, divided among what ran then."""
        for whole in self._busy:
            self._spent[whole] += (now - self._then) / len(self._busy)
        self._then = now
        self._busy = [_whole(one) for key, one in jobs.items() if entries[key].state is JobState.RUNNING]

    def _count(self, one: PlannedJob, share: float) -> None:
        """What a job has done since the last look. What it tells first may have been done by an earlier command."""
        key = one.job.key
        if not share:
            self._waited.add(key)
            return
        begun = self._seen.get(key, 0.0 if share == 1 and key in self._waited else share)  # it was too quick to tell
        self._seen[key] = share
        self._jobs[_whole(one)] += max(0.0, share - begun)
        self._trained[_whole(one)] += max(0.0, share - begun) * _images(one)

    def _left(self, jobs: Mapping[str, PlannedJob], shares: Mapping[str, float]) -> Left | None:
        known = {kind: self._spent[kind] / self._trained[kind] for kind, done in self._jobs.items() if done > _LEAST}
        if not known:
            return None
        each, more = max(known.values()), False
        seconds = 0.0
        for key, one in jobs.items():
            more |= shares[key] < 1 and _whole(one) not in known
            seconds += (1 - shares[key]) * _images(one) * known.get(_whole(one), each)
        return Left(seconds, more)


def _share(one: PlannedJob, entry: QueueEntry, progress: Progress | None) -> float:
    return 1.0 if entry.reached(one.until) else progress.fraction if progress else 0.0


def _whole(one: PlannedJob) -> bool:
    """The kind of a job: trained whole, not on a frozen trunk."""
    return not one.job.protocol.trunk


def _images(one: PlannedJob) -> float:
    """What a job trains on; in epochs where these have as many images as there are."""
    protocol = one.job.protocol
    return (protocol.epoch_images or 1) * ((one.until or protocol.last) - one.job.start.epoch)
