"""The front under a longer protocol: its study, its jobs, and whether the order lasts."""

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from tests.experiments.fakes import FAKED
from tests.experiments.search.searched import SEARCH, SETTING, plant, searching, without_counting
from workbench.core.errors import Refused
from workbench.experiments.protocols import PROTOCOLS
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
from workbench.models.job import Job
from workbench.study import StudyProtocol
from workbench.training.machine import Machine
from workbench.training.record import Progress, Result, job_folder, write_curve, write_result

pytestmark = FAKED
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


def made_up(
    job: Job, machine: Machine, home: Path, data: Path | None, tell: Callable[[Progress], None], until: int
) -> Result:
    folder = job_folder(home, job.key)
    folder.mkdir(parents=True, exist_ok=True)
    score = 0.6 if "transformer_encoder_layers" in str(job.variant.to_dict()) else 0.4
    write_curve(folder, [{"epoch": float(job.protocol.epochs), "AP": score, "train_images_per_s": 100.0}])
    return write_result(folder, job.key, {"AP": score, "gflops": 0.1, "params": 1e5}, {})


def test_they_are_trained_and_found_again(run: SearchRun, capsys: pytest.CaptureFixture[str]) -> None:
    assert later_scores(Searcher(run).know(), LONGER) == {}
    assert train_on(run, LONGER, machine=Machine(), jobs=1, train=made_up) == 0
    scores = later_scores(Searcher(run).know(), LONGER)
    assert {number: seeds for number, seeds in scores.items() if number in (0, 1)} == {0: [0.4], 1: [0.6]}
    said = capsys.readouterr().out
    assert "-- planted --protocol small  # writes its page" in said and "retry" not in said


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
