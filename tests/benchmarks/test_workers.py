"""The benchmark of the queue: what it counts as lost, and that it measures a file."""

from __future__ import annotations

import csv
from contextlib import ExitStack
from pathlib import Path

import pytest

from benchmarks import _record, workers
from benchmarks.workers import Spent, measured, stores_to_measure
from tests.experiments.conftest import light as light
from tests.experiments.fakes import FAKED
from workbench.__main__ import main

pytestmark = FAKED


def test_what_is_left_for_training() -> None:
    spent = Spent(workers=4, jobs=40, wall=20.0, slept=40.0)
    assert spent.efficiency == 0.5 and spent.overhead == 1.0


def test_workers_share_the_jobs_of_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_record, "FOLDER", tmp_path)
    monkeypatch.setattr(workers, "programs", lambda: None)
    assert main(["bench", "workers", "--jobs", "2", "--seconds", "0.1", "--workers", "1,2"]) == 0
    with (tmp_path / "bench_workers.csv").open() as file:
        lines = list(csv.DictReader(file))
    assert [(line["store"], line["workers"], line["jobs"]) for line in lines] == [
        ("file", "1", "2"),
        ("file", "2", "4"),
    ]
    assert all(0 < float(line["efficiency"]) < 1 and float(line["wall_s"]) >= 0.2 for line in lines)


def test_the_store_is_the_one_that_was_given() -> None:
    with ExitStack() as stack:
        found = stores_to_measure("postgresql://me:secret@db/runs", stack)
    assert list(found) == ["postgresql://me@db/runs"] and found["postgresql://me@db/runs"](1).endswith("@db/runs")


def test_jobs_that_fail_are_not_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("no")

    monkeypatch.setattr(workers, "sleep", fail)
    with pytest.raises(workers.Refused, match="1 jobs failed: RuntimeError: no"):
        measured("", 1, 1, 0.0)
