"""Where the browser shows the record."""

import warnings
from dataclasses import replace
from pathlib import Path

import pytest

from tests.experiments.fakes import SETTING, STUDY
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
