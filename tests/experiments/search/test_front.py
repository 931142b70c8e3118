"""The front by hand, its chances, what options are worth, and the study that is made of it."""

import importlib
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

import studies
from tests.experiments.search.planted import SPACE, WORTH, pool, trained, truth
from workbench.experiments.protocols import PROTOCOLS
from workbench.experiments.search.front import (
    as_study,
    chance_of_front,
    effects_of,
    front_of,
    front_points,
    front_ranks,
    hypervolume,
    steps_of,
)
from workbench.experiments.search.process import Process
from workbench.space import Candidate
from workbench.study import Study, find_study

VALUES, COSTS = np.asarray([1.0, 3.0, 2.0, 2.5, 3.0]), np.asarray([0.1, 0.5, 0.4, 0.6, 0.9])


def test_the_front_and_those_behind_it() -> None:
    assert front_of(VALUES, COSTS).tolist() == [0, 2, 1]
    assert front_ranks(VALUES, COSTS).tolist() == [0, 0, 0, 1, 1]
    assert front_of(np.asarray([1.0, 1.0]), np.asarray([0.5, 0.5])).tolist() == [0]
    assert not len(front_of(VALUES[:0], COSTS[:0]))


def test_what_costs_hardly_more_and_is_better_leaves_no_place() -> None:
    costs = np.log(np.asarray([3.72, 3.75, 3.78, 4.38, 9.0]))
    assert front_of(np.arange(5.0), costs).tolist() == [0, 1, 2, 3, 4]
    assert front_of(np.arange(5.0), costs, 0.01).tolist() == [2, 3, 4]
    assert front_of(np.asarray([0.0, 3.0, 1.0, 2.0, 2.0]), costs, 0.01).tolist() == [1]
    assert not len(front_of(np.zeros(0), np.zeros(0), 0.01))


def test_hypervolume_by_hand() -> None:
    assert hypervolume(VALUES, COSTS, 0.0, 1.0) == pytest.approx(0.3 * 1 + 0.1 * 2 + 0.5 * 3)
    assert hypervolume(VALUES, COSTS, 1.5, 1.0) == pytest.approx(0.1 * 0.5 + 0.5 * 1.5)  # above a floor
    assert hypervolume(VALUES, COSTS, 5.0, 1.0) == hypervolume(VALUES[:0], COSTS[:0], 0.0, 1.0) == 0
    assert steps_of(VALUES, COSTS, 0.0, 1.0).at(np.asarray([0.0, 0.1, 0.45, 0.95])).tolist() == [0, 1, 2, 3]


def test_chances_are_those_of_draws() -> None:
    """Two of one cost: the better one of two normal scores, with a difference of 1 and a deviation of 1 of that."""
    mean, covariance = np.asarray([1.0, 0.0]), np.diag([0.5, 0.5])
    found = chance_of_front(mean, covariance, np.zeros(2), draws=20_000)
    assert found.sum() == pytest.approx(1) and found[0] == pytest.approx(0.8413, abs=0.01)


def test_points_have_an_estimate_and_a_chance() -> None:
    rng, scores = np.random.default_rng(0), truth()
    process = Process(pool(rng), trained(np.arange(0, 36, 2), scores, rng))
    points = front_points(process, np.arange(36), np.ones(36, bool))
    assert all(point.score.low < point.score.mean < point.score.high and 0 <= point.chance <= 1 for point in points)
    on = [point for point in points if point.on_front]
    assert on and np.mean([point.chance for point in on]) > np.mean([p.chance for p in points if not p.on_front])


def test_what_each_option_is_worth() -> None:
    rng = np.random.default_rng(1)
    process = Process(pool(rng), trained(np.arange(36), truth(), rng))
    found = {(one.factor, one.label): one for one in effects_of(SPACE, process)}
    assert set(found) == {(f.name, label) for f in SPACE.factors for label in f.labels[1:]}
    for option in (("a", "a1"), ("a", "a2"), ("d", "d3")):
        assert found[option].score.mean == pytest.approx(WORTH[option], abs=0.6)
        assert found[option].score.low < WORTH[option] < found[option].score.high
    here, there = (SPACE.features(SPACE.candidates)[:, i] == 1 for i in (1, 0))
    ratio = np.exp(process.pool.log_cost[here].mean() - process.pool.log_cost[there].mean())
    assert found["a", "a1"].cost == pytest.approx(ratio) and found["a", "a1"].first == "a0"


def test_a_claim_names_what_two_networks_do_not_share() -> None:
    from studies.search_rtmo import STUDY as SEARCH

    near, far = (Candidate((), (), f"csp s, pafpn, dcc bins {bins}") for bins in ("1/1", "1/2"))
    assert '"dcc bins 1/2 beats dcc bins 1/1"' in as_study(SEARCH, "some", (near, far), (1.0, 2.0))


@pytest.mark.slow
def test_the_front_becomes_a_study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from studies.search_rtmo import STUDY as SEARCH

    chosen = [SEARCH.space.candidates[i] for i in (300, 0, 17)]
    (tmp_path / "made_front.py").write_text(as_study(SEARCH, "made_front", chosen, (9.0, 12.0, 5.5)), "utf-8")
    (tmp_path / "lone.py").write_text(as_study(SEARCH, "lone", chosen[:1], (9.0,)), "utf-8")
    monkeypatch.setattr(studies, "__path__", [*studies.__path__, str(tmp_path)])
    importlib.invalidate_caches()
    study, lone = find_study("made_front"), find_study("lone")
    assert isinstance(study, Study) and isinstance(lone, Study) and not lone.claims
    cheapest_first = [chosen[2], chosen[0], chosen[1]]
    assert [row.label for row in study.rows] == [one.text for one in cheapest_first]
    assert [(c.row, c.than, c.metric) for c in study.claims] == [
        (b.text, a.text, "AP") for a, b in pairwise(cheapest_first)
    ]
    short = PROTOCOLS["short"]
    planned = {one.row: one.job.key for one in study.planned_jobs(short, 1)}
    assert planned == {one.text: SEARCH.planned(one, short).job.key for one in chosen}
    assert all(len(line) <= 120 for line in (tmp_path / "made_front.py").read_text("utf-8").splitlines())
