"""The record as a person sees it: MLflow's pages in a real browser.

Needs Chromium. `WORKBENCH_CHROMIUM` names it, and then it must be there; without one anywhere the tests are skipped.
Screenshots stay in `WORKBENCH_SCREENSHOTS` where that is set.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import urllib.request
import warnings
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from workbench.experiments import mlflow_pages, tracking
from workbench.experiments.plan import StudyRun
from workbench.models.job import Protocol
from workbench.models.zoo import nano
from workbench.study import Row, Study, StudyProtocol

BROWSER = os.environ.get("WORKBENCH_CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
pytestmark = [
    pytest.mark.skipif(BROWSER is None, reason="no Chromium: install it, or name one with WORKBENCH_CHROMIUM"),
    pytest.mark.timeout(600),
    pytest.mark.slow,
]
ALONE = [  # and asks nothing of the network
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
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
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    words = [sys.executable, "-m", "workbench", "ui", "--port", str(port)]
    with (home / "ui.log").open("w") as log:
        environment = {**os.environ, "WORKBENCH_HOME": str(home)}
        server = subprocess.Popen(words, env=environment, stdout=log, stderr=log, start_new_session=True)
    try:
        _wait(f"http://127.0.0.1:{port}/health", server)
        yield port
    finally:
        os.killpg(server.pid, signal.SIGINT)  # what Ctrl+C does: the server and its own processes
        server.wait(60)


def _wait(address: str, server: subprocess.Popen[bytes]) -> None:
    while True:
        try:
            urllib.request.urlopen(address, timeout=60)
            return
        except OSError:
            assert server.poll() is None, "the server ended"
            with suppress(subprocess.TimeoutExpired):
                server.wait(0.5)


@pytest.fixture(scope="module")
def page() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=BROWSER, args=ALONE)
        page = browser.new_page(viewport={"width": 1600, "height": 1000})
        page.set_default_timeout(120_000)
        yield page
        browser.close()


def _keep(page: Any, name: str) -> None:
    folder = os.environ.get("WORKBENCH_SCREENSHOTS")
    if folder:
        page.screenshot(path=Path(folder) / f"{name}.png")


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
    _keep(page, "experiment")
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
    _keep(page, "charts")
    page.get_by_text("row: static, protocol: test").first.wait_for()


def test_a_run_says_what_it_is(home: Path, port: int, page: Any) -> None:
    experiment, runs = _runs(home)
    page.goto(mlflow_pages.address(f"{experiment}/{runs['static #0']}", port))
    page.get_by_text("coords.dynamic_allocation").first.wait_for()
    _keep(page, "run-first")
    page.get_by_text("Show more").click()
    page.wait_for_function("[...document.images].some(i => i.naturalWidth === 80 && i.naturalHeight === 60)")
    _keep(page, "run")
    text = page.inner_text("body")
    assert "static, seed 0" in text and "two rows made up for a picture" in text and "0.2345" in text


def test_the_page_of_the_protocol_has_the_verdicts(home: Path, port: int, page: Any) -> None:
    experiment, runs = _runs(home)
    page.goto(mlflow_pages.address(f"{experiment}/{runs['test']}", port))
    page.get_by_text("nothing was decided").wait_for()
    _keep(page, "protocol")


def test_two_runs_are_compared(home: Path, port: int, page: Any) -> None:
    experiment, runs = _runs(home)
    both = f'["{runs["all of it #0"]}","{runs["static #0"]}"]'
    page.goto(f'http://127.0.0.1:{port}/#/compare-runs?runs={both}&experiments=["{experiment}"]')
    page.get_by_text("Comparing 2 Runs").first.wait_for()
    page.get_by_text("static #0").first.wait_for()
    _keep(page, "compare")
    text = page.inner_text("body")
    assert "all of it #0" in text and "coords.dynamic_allocation" in text


def test_a_picture_opens(home: Path, port: int, page: Any) -> None:
    experiment, runs = _runs(home)
    page.goto(f"http://127.0.0.1:{port}/#/experiments/{experiment}/runs/{runs['static #0']}/artifacts/predictions.png")
    # the page has images of its own; ours alone is 80 by 60
    page.wait_for_function("[...document.images].some(i => i.naturalWidth === 80 && i.naturalHeight === 60)")
    _keep(page, "picture")
    assert "predictions.png" in page.inner_text("body")
