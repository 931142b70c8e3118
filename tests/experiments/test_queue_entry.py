"""What the queue says of a job, and when a job is left alone."""

from dataclasses import replace
from pathlib import Path

import pytest

from workbench.experiments.queue_entry import LIMIT, JobState, QueueEntry, gives_up, is_due, recorded_entry
from workbench.training.record import write_result
from workbench.training.rung import write_pause


@pytest.mark.parametrize(
    ("entry", "up"),
    [
        (QueueEntry(JobState.FAILED, failures=LIMIT - 1, killed=LIMIT - 1), False),
        (QueueEntry(JobState.FAILED, failures=LIMIT), True),
        (QueueEntry(JobState.KILLED, killed=LIMIT), True),
        (QueueEntry(JobState.INFEASIBLE), True),
        (QueueEntry(JobState.FAILED, ended=10 * LIMIT), False),
    ],
)
def test_a_job_is_given_up_when_it_failed_too_often(entry: QueueEntry, up: bool) -> None:
    assert gives_up(entry) == up
    assert is_due(replace(entry, queued=False), 0) == (not up)


def test_what_waits_runs_or_has_reached_what_is_asked_for_is_not_due() -> None:
    paused = QueueEntry(JobState.PAUSED, rung=4)
    assert [is_due(paused, until) for until in (3, 4, 5, 0)] == [False, False, True, True]
    assert not is_due(replace(paused, queued=True), 5)
    assert not is_due(QueueEntry(JobState.RUNNING), 0) and not is_due(QueueEntry(JobState.COMPLETE), 5)
    assert is_due(QueueEntry(JobState.PLANNED), 0) and is_due(QueueEntry(JobState.KILLED), 0)


def test_a_folder_alone_says_what_is_complete_and_what_is_paused(tmp_path: Path) -> None:
    assert recorded_entry(tmp_path) == QueueEntry(JobState.PLANNED)
    write_pause(tmp_path, "key", 3, {})
    assert recorded_entry(tmp_path) == QueueEntry(JobState.PAUSED, rung=3)
    write_result(tmp_path, "key", {}, {})
    assert recorded_entry(tmp_path) == QueueEntry(JobState.COMPLETE)
