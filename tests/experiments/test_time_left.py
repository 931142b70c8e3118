"""How long is left by the clock, of jobs that are made up."""

from collections.abc import Mapping
from dataclasses import replace

import pytest

from tests.experiments.fakes import SETTING, STUDY
from workbench.experiments.queue_entry import JobState, QueueEntry
from workbench.experiments.time_left import Left, TimeLeft
from workbench.study import PlannedJob
from workbench.training.record import Progress

WHOLE = STUDY.planned_jobs(SETTING)[:4]


def told(fraction: float) -> Progress:
    return Progress(1, 8, fraction, 100.0, 1.0, {}, {})


def look(left: TimeLeft, jobs: list[PlannedJob], shares: Mapping[int, float | None], now: float) -> Left | None:
    """`shares` of what runs or is complete, by number; None has told nothing yet."""
    entries = {one.job.key: QueueEntry(JobState.PLANNED) for one in jobs}
    running: dict[str, Progress | None] = {}
    for number, share in shares.items():
        key = jobs[number].job.key
        entries[key] = QueueEntry(JobState.COMPLETE if share == 1 else JobState.RUNNING)
        if share != 1:
            running[key] = None if share is None else told(share)
    return left.look(jobs, entries, running, now)


def frozen(jobs: list[PlannedJob], images: int) -> list[PlannedJob]:
    return [
        replace(one, job=one.job.vary({"protocol.trunk": "joint", "protocol.epoch_images": images})) for one in jobs
    ]


def test_two_at_a_time_take_half_as_long() -> None:
    left = TimeLeft()
    assert look(left, WHOLE, {0: None, 1: None}, 0) is None
    assert look(left, WHOLE, {0: 0.001, 1: 0.001}, 1) is None
    found = look(left, WHOLE, {0: 0.501, 1: 0.501}, 51)
    assert found is not None and not found.more
    assert found.seconds == pytest.approx(51 * 2.998, rel=0.01), "one job of four in 51 s, the start included"


def test_what_an_earlier_command_did_tells_nothing_of_the_speed() -> None:
    """One job is complete, one goes on at 0.8: only the tenth since then counts."""
    left = TimeLeft()
    look(left, WHOLE, {0: 1, 1: None}, 0)
    assert look(left, WHOLE, {0: 1, 1: 0.8}, 1) is None
    found = look(left, WHOLE, {0: 1, 1: 0.9}, 11)
    assert found is not None and found.seconds == pytest.approx(11 / 0.1 * 2.1)


def test_a_job_too_quick_to_tell_counts_whole() -> None:
    left = TimeLeft()
    look(left, WHOLE, {0: None}, 0)
    found = look(left, WHOLE, {0: 1, 1: None}, 10)
    assert found is not None and found.seconds == pytest.approx(30)


def test_jobs_on_a_frozen_trunk_have_a_speed_of_their_own() -> None:
    """The first two are quick. As long as no whole one was seen, what is said is a lower bound."""
    whole = [replace(one, job=one.job.vary({"protocol.epoch_images": 100})) for one in WHOLE[2:]]
    jobs, left = [*frozen(WHOLE[:2], 400), *whole], TimeLeft()
    look(left, jobs, {0: None}, 0)
    found = look(left, jobs, {0: 1, 1: None}, 4)
    assert found is not None and found.more
    assert found.seconds == pytest.approx(4 + 2 * 1.0), "a quarter of the images each, at the same speed"
    look(left, jobs, {0: 1, 1: 1, 2: None}, 8)
    look(left, jobs, {0: 1, 1: 1, 2: 0.01}, 8)
    found = look(left, jobs, {0: 1, 1: 1, 2: 0.51}, 28)
    assert found is not None and not found.more
    assert found.seconds == pytest.approx(40 * 1.49)
