"""The record as a person sees it: MLflow's pages in a real browser."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from tests.browser import IN_A_BROWSER, keep, opened_page, serving
from workbench.experiments import mlflow_pages, tracking
from workbench.experiments.plan import StudyRun
from workbench.models.job import Protocol
from workbench.models.zoo import nano
from workbench.study import Row, Study, StudyProtocol

pytestmark = [pytest.mark.soak, *IN_A_BROWSER]
STUDY = Study(
    name="seen",
    question="Is it seen?",
    source="none",
    base=nano(),
    rows=(Row("all of it"), Row("static", {"coords.dynamic_allocation": False})),
)
PROTOCOL = StudyProtocol("test", "two rows made up for a picture", Protocol(size=(96, 96), epoch_images=600), seeds=1)
METRICS = {
    "all of it": {"AP": 0.4321, "gflops": 0.0515, "latency_ms_p50": 12.25, "mOKS": 0.66},
    "static": {"AP": 0.2345, "gflops": 0.0464, "latency_ms_p50": 11.75, "mOKS": 0.55},
}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two recorded runs with a picture, and the protocol's page."""
    home = tmp_path_factory.mktemp("home")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of MLflow's own imports
        book = tracking.MlflowRecord(StudyRun(STUDY, PROTOCOL, home))
        picture = np.zeros((60, 80, 3), np.uint8)
        picture[:, :40] = (0, 200, 255)
        for one in STUDY.planned_jobs(PROTOCOL):
            folder = home / "jobs" / one.job.key
            folder.mkdir(parents=True)
            cv2.imwrite(str(folder / "predictions.png"), picture)
            curve = [
                {"epoch": float(e), "AP": METRICS[one.row]["AP"] * e / 2, "train_images_per_s": 50.0} for e in (1, 2)
            ]
            book.record(one, METRICS[one.row], curve, {"commit": "abc"}, folder)
        book.summarise("**C1 open**: nothing was decided", {"claims_decided": 0.0})
    return home


@pytest.fixture(scope="module")
def port(home: Path) -> Iterator[int]:
    """The server that `workbench ui` starts."""
    with serving("ui", home, "health") as port:
        yield port


@pytest.fixture(scope="module")
def page() -> Iterator[Any]:
    with opened_page() as page:
        yield page


def _runs(home: Path) -> tuple[str, dict[str, str]]:
    client = tracking.open_client(home)
    experiment = client.get_experiment_by_name("seen")
    assert experiment is not None
    found = client.search_runs([experiment.experiment_id])
    return experiment.experiment_id, {run.info.run_name or "": run.info.run_id for run in found}


def test_the_experiment_shows_rows_with_ap_flops_and_latency(home: Path, port: int, page: Any) -> None:
    address = (home / "ui.log").read_text().partition(" ")[0]
    assert address == mlflow_pages.runs_page(home, port), "the command prints the one address"
    page.goto(address)
    page.get_by_text("all of it #0").wait_for()
    page.get_by_text("0.4321").first.wait_for()
    keep(page, "experiment")
    text = page.inner_text("body")
    for column in ("AP", "gflops", "train_minutes"):
        assert column in text
    for numbers in METRICS.values():
        assert all(str(numbers[name]) in text for name in ("AP", "gflops"))
    assert "Is it seen?" in text and "Traces 0" not in text and "12.25" not in text, "no latency of a training run"
    assert "Group: row: all of it" in text and "Group: row: static" in text


def test_charts_are_grouped_by_row(home: Path, port: int, page: Any) -> None:
    page.goto(mlflow_pages.runs_page(home, port) + "&compareRunsMode=CHART")
    page.get_by_text("Model metrics").first.wait_for()
    page.get_by_text("all of it").first.wait_for()
    keep(page, "charts")
    page.get_by_text("row: static, protocol: test").first.wait_for()


def test_a_run_says_what_it_is(home: Path, port: int, page: Any) -> None:
    experiment, runs = _runs(home)
    page.goto(mlflow_pages.address(f"{experiment}/{runs['static #0']}", port))
    page.get_by_text("coords.dynamic_allocation").first.wait_for()
    keep(page, "run-first")
    page.get_by_text("Show more").click()
    page.wait_for_function("[...document.images].some(i => i.naturalWidth === 80 && i.naturalHeight === 60)")
    keep(page, "run")
    text = page.inner_text("body")
    assert "static, seed 0" in text and "two rows made up for a picture" in text and "0.2345" in text


def test_the_page_of_the_protocol_has_the_verdicts(home: Path, port: int, page: Any) -> None:
    experiment, runs = _runs(home)
    page.goto(mlflow_pages.address(f"{experiment}/{runs['test']}", port))
    page.get_by_text("nothing was decided").wait_for()
    keep(page, "protocol")


def test_two_runs_are_compared(home: Path, port: int, page: Any) -> None:
    experiment, runs = _runs(home)
    both = f'["{runs["all of it #0"]}","{runs["static #0"]}"]'
    page.goto(f'http://127.0.0.1:{port}/#/compare-runs?runs={both}&experiments=["{experiment}"]')
    page.get_by_text("Comparing 2 Runs").first.wait_for()
    page.get_by_text("static #0").first.wait_for()
    keep(page, "compare")
    text = page.inner_text("body")
    assert "all of it #0" in text and "coords.dynamic_allocation" in text


def test_a_picture_opens(home: Path, port: int, page: Any) -> None:
    experiment, runs = _runs(home)
    page.goto(f"http://127.0.0.1:{port}/#/experiments/{experiment}/runs/{runs['static #0']}/artifacts/predictions.png")
    # the page has images of its own; ours alone is 80 by 60
    page.wait_for_function("[...document.images].some(i => i.naturalWidth === 80 && i.naturalHeight === 60)")
    keep(page, "picture")
    assert "predictions.png" in page.inner_text("body")
