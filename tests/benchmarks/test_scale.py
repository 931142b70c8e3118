"""The benchmark of scale: every part is measured once, with few of everything."""

from __future__ import annotations

import csv
import time
from pathlib import Path

import pytest

from benchmarks import _record, workers
from benchmarks.scale import Clock
from workbench.__main__ import main


def measured(folder: Path) -> list[dict[str, str]]:
    with (folder / "bench_scale.csv").open() as file:
        return list(csv.DictReader(file))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the table lies; nothing is installed but files."""
    monkeypatch.setattr(_record, "FOLDER", tmp_path)
    monkeypatch.setattr(workers, "programs", lambda: None)
    return tmp_path


@pytest.mark.soak
@pytest.mark.timeout(600)
def test_queues_of_jobs_and_of_rows_are_measured(folder: Path) -> None:
    assert main(["bench", "scale", "--jobs", "25", "--rows", "1200", "--only", "queue"]) == 0
    lines = measured(folder)
    assert [(one["what"], one["size"]) for one in lines] == [
        ("fill with jobs that are due, each", "25"),
        *[(what, "25") for what in ("a look of the command that planned", "a look of a command that joined")],
        *[(what, "25") for what in ("status", "take", "take and do a job that trains nothing")],
        ("put trials in, each", "1200"),
        *[(what, "1200") for what in ("a look of the command that planned", "a look of a command that joined")],
        *[(what, "1200") for what in ("status", "take")],
        *[(what, "1200") for what in ("a look of a command that joined, most ended", "take, most ended")],
    ]
    assert all(float(one["ms"]) > 0 and one["store"] == "file" and not one["bytes"] for one in lines)


@pytest.mark.soak
@pytest.mark.timeout(600)
def test_runs_in_mlflow_are_measured(folder: Path) -> None:
    assert main(["bench", "scale", "--runs", "30", "--only", "record"]) == 0
    found = {one["what"]: one for one in measured(folder)}
    assert list(found) == [
        "copy runs in the tables, each",
        "a run of a hundred points",
        "record a run of a hundred points",
        "find a run by its tags",
        "list all runs",
    ]
    assert float(found["a run of a hundred points"]["bytes"]) > 5000 and not found["a run of a hundred points"]["ms"]


def test_results_are_measured(folder: Path) -> None:
    assert main(["bench", "scale", "--jobs", "5", "--rows", "0", "--only", "results"]) == 0
    assert [one["size"] for one in measured(folder)] == ["5"] * 3


def test_the_median_counts_and_is_of_each() -> None:
    clock, waits = Clock("queue", "file", 10), iter((0.0, 0.5, 0.0))
    clock.time("wait", lambda: time.sleep(next(waits)), 3, each=2)
    (cost,) = clock.costs
    assert cost.times == 3 and 0 <= cost.ms < 250
    clock.weigh("a row", 10.0)
    assert (clock.costs[1].line["ms"], clock.costs[1].line["bytes"]) == ("", "10")
