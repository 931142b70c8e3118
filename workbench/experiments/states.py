"""Where the jobs of a study stand. It needs no torch: whoever looks does not wait for it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from rich.table import Table
from rich.text import Text

from workbench.experiments.job_queue import stored_entries
from workbench.experiments.kept_plan import KeptPlan, PlannedLine
from workbench.experiments.queue_entry import JobState, QueueEntry
from workbench.experiments.screen import console, say
from workbench.training.damage import damaged
from workbench.training.record import job_folder

STATE_COLOURS = {
    JobState.PLANNED: "dim",
    JobState.RUNNING: "yellow",
    JobState.PAUSED: "cyan",
    JobState.COMPLETE: "green",
    JobState.FAILED: "red",
    JobState.KILLED: "magenta",
    JobState.INFEASIBLE: "red",
}


def print_plan(home: Path, plan: KeptPlan) -> int:
    """Prints the state of every planned job. Changes nothing, but brings what other machines have done.

    Args:
        home: the folder of runs.

    Returns:
        0 all complete, 1 something is missing.

    Raises:
        Refused: the store or the common files can not be used.
    """
    keys = [one.key for one in plan.lines]
    entries = stored_entries(home, plan.name, set(keys))
    print_states(plan.lines, entries)
    faults = damaged(job_folder(home, key) for key in keys)
    for line in faults:
        say(f"broken: {line}")
    print(tally(keys, entries))
    return 0 if _complete(keys, entries) == len(keys) and not faults else 1


def print_states(planned: Sequence[PlannedLine], entries: Mapping[str, QueueEntry]) -> None:
    """The state of every job: a line per row and trunk, a column per seed; below it the errors."""
    seeds = sorted({one.seed for one in planned})
    trunks = any(one.trunk for one in planned)
    table = Table("row", *(["trunk"] if trunks else []), *(f"seed {seed}" for seed in seeds), header_style="dim")
    by_spot = {(one.row, one.trunk, one.seed): entries[one.key] for one in planned}
    for row, trunk in dict.fromkeys((one.row, one.trunk) for one in planned):
        found = [by_spot.get((row, trunk, seed)) for seed in seeds]
        table.add_row(Text(row), *([trunk] if trunks else []), *(_state(entry) for entry in found))
    screen = console()
    screen.print(table)
    for one in planned:
        entry = entries[one.key]
        if entry.note and entry.state is not JobState.COMPLETE:
            screen.print(Text(f"{one.title} ({one.key}): {entry.note}"))


def _state(entry: QueueEntry | None) -> Text:
    if entry is None:
        return Text("")
    more = {JobState.FAILED: f" x{entry.failures}", JobState.PAUSED: f" after {entry.rung}"}.get(entry.state, "")
    return Text(f"{entry.state}{more}", STATE_COLOURS[entry.state])


def tally(keys: Sequence[str], entries: Mapping[str, QueueEntry]) -> str:
    """How many jobs are complete; `keys` names one for each row and seed, so that some may be named twice."""
    return f"{_complete(keys, entries)} of {len(keys)} complete"


def _complete(keys: Iterable[str], entries: Mapping[str, QueueEntry]) -> int:
    return sum(entries[key].state is JobState.COMPLETE for key in keys)
