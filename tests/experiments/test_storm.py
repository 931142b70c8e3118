"""Eight workers of two machines, two hundred jobs, and a kill every three seconds: none lost, none twice."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tests.experiments.fakes import FAKED, SETTING, STUDY
from tests.experiments.storm import Run, Storm, once_each, weather
from workbench.experiments import queue_entry

pytestmark = [*FAKED, pytest.mark.slow, pytest.mark.soak]


@pytest.mark.timeout(3600)
def test_two_hundred_jobs_and_many_kills(database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queue_entry, "LIMIT", 100)  # a job that is killed too often under one command is given up
    jobs = {one.job.key: one for one in STUDY.planned_jobs(SETTING, 67)[:200]}
    storm = Storm(Run(tmp_path, "fake/test"), workers=4, every=3.0)
    began = time.monotonic()
    queue = weather(storm, jobs)
    once_each(queue, jobs)
    lost = sum(trial.state.name == "FAIL" for trial in queue.attempts())
    print(f"{len(jobs)} jobs, {storm.kills} kills, {lost} attempts lost, {time.monotonic() - began:.0f} s")
    assert storm.kills > 5
