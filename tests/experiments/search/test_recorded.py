"""A search in MLflow: a run per training, and no harm where it can not be written."""

import warnings
from pathlib import Path
from typing import Any

import pytest

from tests.experiments.search.searched import plant, without_counting
from workbench.experiments import tracking
from workbench.experiments.search.decision import front
from workbench.experiments.search.recorded import Recorder, front_text
from workbench.experiments.search.rounds import Searcher


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # of MLflow's own
def test_every_training_is_a_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    without_counting(monkeypatch)
    run, said = plant(tmp_path), list[str]()
    known = Searcher(run).know()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of MLflow's own imports
        tracking.open_client(tmp_path)
    for _ in range(2):  # the second finds all of them
        recorder = Recorder(run, said.append)
        while recorder.next(known):
            pass
    recorder.conclude(known, front(known))
    assert said == []
    client = tracking.open_client(tmp_path)
    experiment = client.get_experiment_by_name("planted")
    assert experiment is not None
    found = client.search_runs([experiment.experiment_id])
    (parent,) = (one for one in found if one.data.tags["workbench.role"] == "setting")
    runs = {(r.data.params["row"], r.data.params["seed"]): r for r in found if r is not parent}
    assert len(found) == 10 and all(len(row) <= 10 for row, _ in runs)
    assert all(one.data.tags["mlflow.parentRunId"] == parent.info.run_id for one in runs.values())
    fresh = runs["#002", "1"].data
    assert (fresh.params["bins"], fresh.params["padding"], fresh.params["layers"]) == ("dynamic", "wide", "1")
    assert runs["#004", "0"].data.params["padding"] == "none"
    assert fresh.metrics["AP"] == pytest.approx(0.36) and fresh.metrics["published_gflops"] == 5.0
    assert fresh.metrics["gflops"] == 0.1 and fresh.metrics["train_minutes"] == pytest.approx(0.5)
    assert fresh.tags["purpose"] == "front" and fresh.tags["state"] == "complete"
    assert runs["#001", "0"].data.tags["state"] == "known before"
    assert "| #002 |" in parent.data.tags["mlflow.note.content"] and parent.data.metrics["runs"] == 9


def test_a_store_that_is_away_is_asked_later_and_what_is_left_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A search that is at work goes on meanwhile, without a line for each training."""
    without_counting(monkeypatch)
    asked: list[int] = []

    def fail(*_: Any) -> str:
        asked.append(1)
        raise OSError("the disk is full")

    monkeypatch.setattr(tracking.MlflowRecord, "record", fail)
    monkeypatch.setattr(tracking.MlflowRecord, "summarise", fail)
    run, said = plant(tmp_path), list[str]()
    recorder, known = Recorder(run, said.append), Searcher(run).know()
    assert not any(recorder.next(known) for _ in range(20)) and len(asked) == 1
    assert said == ["not recorded yet: #001, seed 0: OSError: the disk is full; it is tried again"]
    recorder.conclude(known, front(known))
    assert [line.partition(": OSError")[0] for line in said[1:]] == [
        "not recorded: #001, seed 0 and 8 more",
        "not recorded: the front",
    ]
    assert all("the disk is full; run the same command again" in line for line in said[1:])


def test_the_front_in_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    without_counting(monkeypatch)
    known = Searcher(plant(tmp_path)).know()
    said = front_text(known, front(known))
    assert said.index("#001") < said.index("#002") and "gflops, published size" in said
