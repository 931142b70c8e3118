"""A search as a person sees it: the pages of optuna-dashboard in a real browser."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.browser import IN_A_BROWSER, keep, opened_page, serving
from tests.experiments.search.searched import plant
from workbench.experiments.search.dashboard import dashboard_address
from workbench.experiments.search.optuna_study import SearchStudy
from workbench.experiments.search.rounds import Searcher

pytestmark = [pytest.mark.soak, *IN_A_BROWSER]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A search of six candidates that is over."""
    run = plant(tmp_path_factory.mktemp("home"))
    known = Searcher(run).know()
    SearchStudy(run, known.log, known.outcomes())
    return run.home


@pytest.fixture(scope="module")
def port(home: Path) -> Iterator[int]:
    with serving("dashboard", home, "api/studies") as port:
        yield port


@pytest.fixture(scope="module")
def page() -> Iterator[Any]:
    with opened_page() as page:
        yield page


def test_the_trials_of_a_search_are_shown(home: Path, port: int, page: Any) -> None:
    printed = (home / "dashboard.log").read_text().partition(" ")[0]
    assert printed == dashboard_address(home, port), "the command prints the one address"
    page.goto(printed)
    page.get_by_text("Trial 2", exact=True).first.wait_for()
    keep(page, "dashboard")
    text = page.inner_text("body")
    assert "search planted/small" in text and "Pareto Front" in text and "AP" in text and "gflops" in text
    assert "Objective Values = [0.38, 5]" in text and "bins: dynamic, padding: wide, layers: 1" in text


def test_a_trial_says_why(home: Path, port: int, page: Any) -> None:
    """Why it was not trained, and under which key its training stands."""
    page.goto(f"{dashboard_address(home, port)}/trials?numbers=5")
    page.get_by_text("gflops 6, at most 5.5").first.wait_for()
    keep(page, "dashboard-trial")
    text = page.inner_text("body")
    assert "over a limit" in text and "surrogate" in text
