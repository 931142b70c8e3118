"""The front under a longer protocol: its study, its jobs, and whether the order lasts."""

from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from tests.experiments.search.searched import SEARCH, SETTING, plant, searching, without_counting
from workbench.core.errors import Refused
from workbench.experiments.plan import StudyRun
from workbench.experiments.protocols import PROTOCOLS
from workbench.experiments.search import longer
from workbench.experiments.search.decision import front
from workbench.experiments.search.knowledge import Knowledge
from workbench.experiments.search.longer import (
    check_longer,
    front_study,
    later_scores,
    longer_protocols,
    same_order,
    train_on,
    watched,
)
from workbench.experiments.search.plan import SearchRun
from workbench.experiments.search.rounds import Searcher
from workbench.study import StudyProtocol
from workbench.training.machine import Machine
from workbench.training.record import job_folder, write_result

LONGER = StudyProtocol("longer", "a made-up one", replace(SETTING.protocol, epochs=20), seeds=1, answers="Nothing.")


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SearchRun:
    without_counting(monkeypatch)
    return plant(tmp_path)


@pytest.fixture
def known(run: SearchRun) -> Knowledge:
    return Searcher(run).know()


def test_its_rows_are_the_front_and_published_networks(known: Knowledge) -> None:
    study, numbers = front_study(known), [number for number, _ in watched(known)]
    on = [one.which for one in sorted(front(known), key=lambda one: one.cost) if one.on_front]
    assert set(numbers) == {*on, 0}, "#000 is the published one that was trained, #005 is over the limit"
    assert [row.label for row in study.rows] == [candidate.text for _, candidate in watched(known)]
    texts = dict(zip(numbers, study.rows, strict=True))
    assert [(one.row, one.than) for one in study.claims] == [(texts[b].label, texts[a].label) for a, b in pairwise(on)]


def test_they_are_trained_and_found_again(run: SearchRun, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []

    def trained(study_run: StudyRun, **given: Any) -> int:
        """In place of the training: without encoder layers 0.6, with some 0.4."""
        asked.append(given)
        for one in study_run.jobs():
            folder, score = job_folder(study_run.home, one.job.key), 0.6 if "layers 0" in one.row else 0.4
            folder.mkdir(parents=True)
            write_result(folder, one.job.key, {"AP": score}, {})
        return 0

    monkeypatch.setattr(longer, "run_study", trained)
    assert later_scores(Searcher(run).know(), LONGER) == {}
    assert train_on(run, LONGER, machine=Machine(), jobs=1) == 0
    scores = later_scores(Searcher(run).know(), LONGER)
    assert {number: seeds for number, seeds in scores.items() if number in (0, 1)} == {0: [0.4], 1: [0.6]}
    retry, page, *_ = asked[0]["then"]
    assert "retry planted --protocol small" in retry and retry.endswith("--then longer")
    assert page.endswith("planted --protocol small") and "report" in page


def test_pairs_that_keep_their_order_are_counted() -> None:
    assert same_order([1, 2, 3], [0.1, 0.3, 0.2]) == (2, 3)
    assert same_order([1, 2, 2], [3, 1, 5]) == (1, 2), "two are equal before"
    assert same_order([1.0], [2.0]) == (0, 0)


def test_what_is_no_longer_protocol_is_refused(run: SearchRun) -> None:
    for under, said in (
        (SETTING, "--then small: that is what the search trains under"),
        (PROTOCOLS["probe"], "--then probe: search planted: protocol probe does not train whole networks"),
    ):
        with pytest.raises(Refused, match=said):
            check_longer(run, under)
    with pytest.raises(Refused, match="nothing of planted, small is complete"):
        front_study(Searcher(searching(run.home / "empty")).know())


def test_longer_protocols_train_whole_networks(known: Knowledge) -> None:
    assert SEARCH.name == "planted"
    assert {"short", "laptop"} <= set(longer_protocols(known, PROTOCOLS)).difference({"smoke", "probe", "thaw", "fork"})
    assert not {"smoke", "probe", "thaw", "fork", "cost"} & set(longer_protocols(known, PROTOCOLS))
