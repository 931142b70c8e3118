"""When all rows fail for one reason."""

import pytest

from workbench.experiments.alike import JobEnd, common_failure, job_end
from workbench.experiments.queue_entry import WAS_KILLED, JobState, QueueEntry


def attempts(*notes: tuple[str, str]) -> list[JobEnd]:
    return [JobEnd(row, note, complete=note == "done") for row, note in notes]


@pytest.mark.parametrize(
    ("notes", "alike"),
    [
        ([("a", "no GPU"), ("b", "no GPU")], True),
        ([("a", "no GPU"), ("a", ""), ("b", "no GPU"), ("b", "")], True),  # each row once is enough
        ([("a", "job 0123456789ab: step 7"), ("b", "job ba9876543210: step 12")], True),  # keys and numbers differ
        ([("a", "no GPU"), ("b", "")], False),
        ([("a", "no GPU"), ("b", "no room")], False),
        ([("a", "no GPU"), ("b", "no GPU"), ("b", "done")], False),
        ([("a", "no GPU"), ("a", "no GPU")], False),  # one row says nothing of others
        ([], False),
    ],
)
def test_a_reason_is_common_when_every_row_has_it_and_none_went_well(notes: list[tuple[str, str]], alike: bool) -> None:
    assert bool(common_failure(attempts(*notes))) is alike


def test_processes_that_were_killed_are_no_failure_of_the_rows() -> None:
    killed, failed = (QueueEntry(JobState.PLANNED, ended=2, note=n, queued=True) for n in (WAS_KILLED, "it fails"))
    assert not job_end("a", killed, 1).note and job_end("a", failed, 1).note == "it fails"
    assert not job_end("a", failed, 2).note, "that was before the command began"
