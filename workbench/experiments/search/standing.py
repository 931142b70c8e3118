"""Where a candidate stands: one answer for the terminal, for Optuna and for the page."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from workbench.experiments.queue_entry import JobState, QueueEntry, gives_up
from workbench.experiments.search.knowledge import Knowledge, Training
from workbench.experiments.search.log import Proposal, State

# in which candidates are counted
_WORDS = tuple(map(str, (State.OVER, State.IMPOSSIBLE, State.SAME, State.KNOWN, *JobState)))
_LOST = (JobState.FAILED, JobState.KILLED, JobState.INFEASIBLE)


class Standing(NamedTuple):
    """A state of `_WORDS`, and why it is that where there is something to say."""

    state: str
    why: str = ""


def standing(proposal: Proposal, known: Knowledge, entries: Mapping[str, QueueEntry]) -> Standing:
    """What the checks said of a candidate, or where its first training stands; running while any of its seeds is."""
    mine = [one for one in known.trainings if one.order.number == proposal.number]
    there = [entries[one.key] for one in mine if one.key in entries]
    if any(entry.state is JobState.RUNNING for entry in there):
        return Standing(JobState.RUNNING)
    if proposal.state is not State.ORDERED:
        return Standing(proposal.state, proposal.why)
    first = next((one for one in mine if one.order.seed == 0), None)
    return Standing(JobState.PLANNED) if first is None else _of(first, entries)


def _of(first: Training, entries: Mapping[str, QueueEntry]) -> Standing:
    entry = entries.get(first.key, QueueEntry(JobState.PLANNED))
    if first.result is not None:
        return Standing(JobState.COMPLETE)
    if first.paused:
        return Standing(JobState.PAUSED)
    # a promoted one that has not begun again stands in the queue as paused, but waits for a worker alone
    state = JobState.PLANNED if entry.state is JobState.PAUSED else entry.state
    return Standing(state, entry.note if state in _LOST else "")


def counts(states: Iterable[str]) -> dict[str, int]:
    """How many candidates are in each state, in the order of `_WORDS`, those left out that none is in."""
    there = [*states]
    return {word: there.count(word) for word in _WORDS if word in there}


def given_up(entries: Mapping[str, QueueEntry]) -> dict[str, str]:
    """Jobs that are not tried again, by key, and why."""
    return {key: one.note for key, one in entries.items() if one.state is not JobState.RUNNING and gives_up(one)}
