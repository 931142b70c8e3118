"""Where the browser shows the record."""

import socket
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from tests.experiments.fakes import SETTING, STUDY
from workbench.__main__ import main
from workbench.experiments import mlflow_pages
from workbench.experiments.mlflow_view import VIEW_TAG
from workbench.experiments.plan import StudyRun
from workbench.experiments.tracking import MlflowRecord, open_client


def test_the_address_of_a_run_opens_the_pages_of_training() -> None:
    expected = "http://127.0.0.1:5001/#/experiments/7/runs/abc?workflowType=machine_learning"
    assert mlflow_pages.address("7/abc", 5001) == expected


@pytest.mark.slow
def test_the_study_recorded_last_is_opened_in_the_view_of_today(tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of MLflow's own imports
        client = open_client(tmp_path)
    assert mlflow_pages.runs_page(tmp_path, 5000).endswith("/#/experiments?workflowType=machine_learning")
    for name in ("the first", "the last"):
        MlflowRecord(StudyRun(replace(STUDY, name=name), SETTING, tmp_path)).summarise("text")
    pages = mlflow_pages.pages(tmp_path, 5000)
    assert list(pages) == ["the last", "the first"] and mlflow_pages.runs_page(tmp_path, 5000) == pages["the last"]
    (last,) = [e for e in client.search_experiments() if e.name == "the last"]
    client.set_experiment_tag(last.experiment_id, VIEW_TAG, "of old")
    mlflow_pages.renew_views(tmp_path)
    assert "AP and cost" in client.get_experiment(last.experiment_id).tags[VIEW_TAG]


def test_only_this_machine_can_see_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = list[str]()

    def run_server(words: Sequence[str], environment: Mapping[str, str]) -> int:
        asked.extend(words)
        return 0

    monkeypatch.setattr(mlflow_pages, "run_server", run_server)
    monkeypatch.setattr(mlflow_pages, "renew_views", lambda home: None)
    monkeypatch.setattr(mlflow_pages, "runs_page", lambda home, port: "")
    assert mlflow_pages.ui(tmp_path, free_port()) == 0
    assert asked[asked.index("--host") + 1] == "127.0.0.1" and asked.count("--host") == 1


def test_a_port_that_is_taken_is_exit_code_2(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("WORKBENCH_HOME", str(tmp_path))
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        assert main(["ui", "--port", str(port)]) == 2
    assert f"--port {port}: Address already in use; give another" in capsys.readouterr().err


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]
