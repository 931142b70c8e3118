"""Engines: how many places the machine itself has for jobs."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.experiments.fakes import quick
from workbench.core.errors import Refused
from workbench.core.processes import usable_cores
from workbench.experiments.engines.engine import LOCAL
from workbench.experiments.worker_pool import WorkerSettings
from workbench.training.machine import Machine

pytestmark = pytest.mark.usefixtures("light")


@pytest.mark.parametrize(
    ("device", "jobs", "places"),
    [("cpu", None, usable_cores()), ("cuda", None, 1), ("cpu", 5, 5), ("cuda", 3, 3), ("cpu", 0, 0)],
)
def test_jobs_at_a_time(device: str, jobs: int | None, places: int, tmp_path: Path) -> None:
    settings = WorkerSettings(tmp_path, "a/plan", Machine(device), None, quick)
    with LOCAL.pool(settings, jobs, lambda: None) as pool:
        assert pool.size == places and not pool.at_work


def test_all_may_be_left_to_others_who_share_the_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(Refused, match=r"--jobs 0: .* a store that they share; add --store URL"):
        LOCAL.check(0, tmp_path)
    LOCAL.check(1, tmp_path)
    LOCAL.check(None, tmp_path)
    pytest.importorskip("psycopg", reason="no psycopg: it is the extra `cluster`")
    monkeypatch.setenv("WORKBENCH_STORE", "postgresql://me@db/runs")
    LOCAL.check(0, tmp_path)
