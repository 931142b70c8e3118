"""Eight workers of two machines, a thousand jobs, and a kill every second: none lost, none twice.

Each worker process begins in a tenth of a second, a fork of its command in which all is imported: so a kill every
second leaves the eight of them most of their time.
"""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tests.experiments import storm as storms
from tests.experiments.fakes import FAKED, SETTING, STUDY
from tests.experiments.storm import Run, Storm, once_each, weather
from workbench.experiments import queue_entry

pytestmark = [*FAKED, pytest.mark.slow, pytest.mark.soak]


@pytest.mark.timeout(1800)
def test_a_thousand_jobs_and_a_kill_every_second(
    database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(storms, "SECONDS", 0.25)  # at least 31 s for eight at a time, however quick the machine is
    monkeypatch.setattr(queue_entry, "LIMIT", 100)  # a job that is killed too often under one command is given up
    jobs = {one.job.key: one for one in STUDY.planned_jobs(SETTING, 334)[:1000]}
    storm = Storm(Run(tmp_path, "fake/test"), workers=4, every=1.0)
    began = time.monotonic()
    queue = weather(storm, jobs)
    passed = time.monotonic() - began
    once_each(queue, jobs)
    lost = sum(attempt.state.name == "FAIL" for attempt in queue.attempts())
    print(f"{len(jobs)} jobs, {storm.kills} kills, {lost} attempts lost, {passed:.0f} s")
    assert storm.kills > 20 and lost > 5
