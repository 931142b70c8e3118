"""The run of a search: which changes make it another one, where its rung lies, what it is refused for."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.data.datasets.animals import NAMES, animals
from tests.experiments.search.searched import SEARCH, SETTING
from workbench.components.necks.pafpn import PAFPN
from workbench.core.errors import Refused
from workbench.data.datasets.classes import DataClasses
from workbench.experiments import changes
from workbench.experiments.plan import StudyRun
from workbench.experiments.protocols import PROTOCOLS
from workbench.experiments.search.plan import BUDGET, SAMPLERS, SMOKE, SearchRun
from workbench.models.zoo import nano
from workbench.space import Factor, Search
from workbench.study import Row, Study
from workbench.training.record import write_result

RUNGS = replace(SEARCH, rungs=(0.2, 1.0))
SHORT = PROTOCOLS["short"]


def run_in(home: Path, **more: Any) -> SearchRun:
    return SearchRun(SEARCH, SETTING, home, **more)


def test_other_limits_are_the_same_search(tmp_path: Path) -> None:
    plain = run_in(tmp_path)
    other = run_in(tmp_path, limits={"gflops": 2.0}, budget=9.0, sampler="tpe", seed=3)
    assert plain.name == other.name == "planted/small" and plain.stem == other.stem == "planted_small"
    assert plain.log_folder == other.log_folder == tmp_path / "searches" / "planted" / "small"


def test_other_changes_are_another_search(tmp_path: Path) -> None:
    plain, low = run_in(tmp_path), run_in(tmp_path, changes={"recipe.lr": 0.5, "recipe.weight_decay": 0.1})
    same = run_in(tmp_path, changes={"recipe.weight_decay": 0.1, "recipe.lr": 0.5})
    high, folder = run_in(tmp_path, changes={"recipe.lr": 0.6}), run_in(tmp_path, fingerprint="folder@1")
    assert low.name == same.name and low.stem == same.stem
    assert len({one.name for one in (plain, low, high, folder)}) == 4
    assert len({one.stem for one in (plain, low, high, folder)}) == 4
    head, _, digest = low.name.rpartition("/")
    assert head == "planted/small" and len(digest) == 8
    assert low.stem == f"planted_small_recipe.lr-0.5_recipe.weight_decay-0.1_{digest}"
    first = SEARCH.space.candidates[0]
    assert low.planned(first).job.key == same.planned(first).job.key != plain.planned(first).job.key
    assert folder.job_changes == {"protocol.data": "folder@1"}
    assert folder.planned(first).job.protocol.data == "folder@1"


def test_a_data_set_brings_its_own_key_points(tmp_path: Path) -> None:
    """As in a study: its jobs are the same ones."""
    root = animals(tmp_path / "goats")
    run = SearchRun(SEARCH, PROTOCOLS["smoke"], tmp_path, data=root)
    job = run.any_job
    assert job.variant.skeleton.keypoints == NAMES and job.protocol.data == run.fingerprint
    rows = (SEARCH.as_row(SEARCH.space.candidates[0]), Row("x", {"neck.depth": 0.0}))
    study = StudyRun(Study("s", "?", "none", SEARCH.base, rows), PROTOCOLS["smoke"], tmp_path, data=root)
    assert study.jobs()[0].job.key == job.key
    assert run.given_changes == {"protocol.data": run.fingerprint}
    plain = SearchRun(SEARCH, PROTOCOLS["smoke"], tmp_path, fingerprint=run.fingerprint)
    assert plain.name == run.name and plain.stem == run.stem, "the data set decides its key points"


def test_a_data_set_brings_its_own_classes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(changes, "dataset_classes", lambda _: DataClasses(("goat", "dog"), {}))
    run = SearchRun(SEARCH, PROTOCOLS["smoke"], tmp_path, data=animals(tmp_path / "both"))
    assert run.any_job.variant.num_classes == 2


def test_the_first_candidate_may_be_impossible(tmp_path: Path) -> None:
    necks = Factor("neck", {"pafpn": {"neck": PAFPN()}, "hybrid": {}})
    layers = Factor("layers", {2: {"neck.transformer_encoder_layers": 2}, "usual": {}})
    run = SearchRun(Search("x", "?", "a test", nano(), (necks, layers)), SHORT, tmp_path)
    assert run.job_protocol.epochs == SHORT.protocol.epochs
    with pytest.raises(Refused, match="PAFPN has no"):
        run.planned(run.search.space.candidates[0])


def test_a_stem_is_the_name_of_a_file(tmp_path: Path) -> None:
    run = run_in(tmp_path, fingerprint="a folder/with: words@" + 200 * "9")
    assert "/" not in run.stem and " " not in run.stem and len(run.stem) < 120


def test_a_rung_lies_after_its_part_of_the_epochs(tmp_path: Path) -> None:
    last = SHORT.protocol.last
    rungs = SearchRun(RUNGS, SHORT, tmp_path)
    assert rungs.rung == last // 5 > 0
    assert SearchRun(SEARCH, SHORT, tmp_path).rung == 0, "it has none"
    assert {SearchRun(RUNGS, SHORT, tmp_path, sampler=one).rung for one in SAMPLERS[1:]} == {0}
    with pytest.raises(Refused, match="lies on none of them"):
        SearchRun(replace(SEARCH, rungs=(0.123, 1.0)), SHORT, tmp_path)


def test_a_search_that_only_proves_that_it_runs_pauses_after_its_first_epoch(tmp_path: Path) -> None:
    """A fifth of its two epochs lies on none of them."""
    run = SearchRun(RUNGS, PROTOCOLS["smoke"], tmp_path)
    assert run.rung == 1 < run.job_protocol.epochs and run.most == 8
    assert SearchRun(SEARCH, PROTOCOLS["smoke"], tmp_path).rung == 0, "it has none"


def test_a_rung_follows_the_epochs_that_are_set(tmp_path: Path) -> None:
    twice = 2 * SHORT.protocol.epochs
    run = SearchRun(RUNGS, SHORT, tmp_path, changes={"protocol.epochs": twice})
    assert run.planned(SEARCH.space.candidates[0]).job.protocol.epochs == twice
    assert run.rung == 2 * SearchRun(RUNGS, SHORT, tmp_path).rung


def test_smoke_looks_at_a_few(tmp_path: Path) -> None:
    assert run_in(tmp_path).most == len(SEARCH.space) == 6 and run_in(tmp_path).budget == BUDGET
    assert SearchRun(SEARCH, PROTOCOLS["smoke"], tmp_path).most == SMOKE


def test_limits_stand_over_those_of_the_search(tmp_path: Path) -> None:
    assert run_in(tmp_path).all_limits == {"gflops": 5.5}
    assert run_in(tmp_path, limits={"gflops": 2.0, "ms": 3.0}).all_limits == {"gflops": 2.0, "ms": 3.0}


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"limits": {"watts": 5.0}}, "--max watts=5: 'watts' is not measured; there are gflops, params, ms"),
        ({"limits": {"gflops": 0.0}}, "--max gflops=0: must be above 0"),
        ({"limits": {"gflops": float("nan")}}, "must be above 0"),
        ({"sampler": "grid"}, "--sampler grid: there are surrogate, tpe, nsga2, nsga3, random"),
        ({"budget": 0.0}, "--budget: 0 minutes; must be above 0"),
        ({"changes": {"seed": 3}}, "seed has an option of its own"),
        ({"changes": {"recipe.nothing": 3}}, "has no 'nothing'"),
    ],
)
def test_what_makes_no_sense_is_refused(tmp_path: Path, given: dict[str, Any], said: str) -> None:
    with pytest.raises(Refused, match=said):
        run_in(tmp_path, **given)


def test_what_it_was_last_run_with_is_kept(tmp_path: Path) -> None:
    plain, asked = run_in(tmp_path), run_in(tmp_path, limits={"gflops": 2.0}, budget=9.0, sampler="tpe", seed=3)
    assert plain.as_run() is plain and not (tmp_path / "searches").exists()
    asked.write_settings()
    assert plain.as_run() == asked
    replace(asked, budget=4.0).write_settings()
    assert plain.as_run().budget == 4.0
    other = run_in(tmp_path, changes={"recipe.lr": 0.5})
    assert other.as_run() is other


def test_results_are_those_of_complete_jobs(tmp_path: Path) -> None:
    run = run_in(tmp_path)
    key = run.planned(SEARCH.space.candidates[0], 1).job.key
    assert run.result(key) is None
    run.folder(key).mkdir(parents=True)
    write_result(run.folder(key), key, {"AP": 0.5}, {"commit": "abc"})
    found = run.result(key)
    assert found is not None and found.metrics["AP"] == 0.5
