"""`workbench study` with a search: its options are read, reach the search, or are refused where they say nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import typer

import studies
from tests.cli.commands import A_FOLDER, watch
from tests.data.datasets.animals import animals, labelled
from workbench.__main__ import main
from workbench.cli.searches import Limit, Minutes, budget, check_study_options, limit
from workbench.core.errors import Refused

GOATS = """
from workbench.presets import nano
from workbench.space import Factor, Search

PADDING = Factor("padding", {p: {"coords.padding": p} for p in (1.25, 1.5)})
STUDY = Search("goats", "Which padding?", "a test", nano(), (PADDING,))
"""
ROUNDS = "workbench.experiments.search.rounds"


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[tuple[Any, ...]]:
    """What the commands on a search call; nothing is run."""
    monkeypatch.setenv("WORKBENCH_HOME", str(tmp_path / "home"))
    monkeypatch.setattr("workbench.core.processes.prepare", lambda: None)
    answers = {f"{ROUNDS}.run_search": 0, f"{ROUNDS}.status": 1, f"{ROUNDS}.retry": 2}
    return watch(monkeypatch, {**answers, **A_FOLDER})


@pytest.mark.parametrize(
    ("given", "read"),
    [
        ("3h", Minutes(180, "3h")),
        ("1.5h", Minutes(90, "1.5h")),
        ("90min", Minutes(90, "90min")),
        ("20m", Minutes(20, "20m")),
        ("7", 7),
    ],
)
def test_a_budget_is_a_time_or_a_number_of_jobs(given: str, read: int | Minutes) -> None:
    assert budget(given) == read and type(budget(given)) is type(read)


@pytest.mark.parametrize("given", ["nonsense", "", "0", "-3h", "h", "3 h", "3hours", "1.5", "3h30min"])
def test_what_is_no_budget_is_refused(given: str) -> None:
    with pytest.raises(typer.BadParameter, match="expected a number of jobs, or for a search a time as in 3h"):
        budget(given)


def test_a_limit_is_a_cost_and_a_number() -> None:
    assert limit("gflops=8") == Limit("gflops", 8.0) and limit("params=1e6") == Limit("params", 1e6)
    for given in ("gflops", "gflops=", "=8", "gflops=x", "gflops=8=9", ""):
        with pytest.raises(typer.BadParameter, match="expected COST=NUMBER, as in gflops=8"):
            limit(given)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ((None, [Limit("gflops", 8.0)]), "--max: it is for searches"),
        ((None, None, "tpe"), "--sampler: it is for searches"),
        ((None, None, None, "laptop"), "--then: it is for searches"),
        ((Minutes(180, "3h"), None), "--budget 3h: that is for a search"),
    ],
)
def test_a_study_takes_no_option_of_searches(given: tuple[Any, ...], said: str) -> None:
    with pytest.raises(Refused, match=said):
        check_study_options(*given)


def test_a_study_takes_its_own_options() -> None:
    check_study_options(7, None)
    check_study_options(None, [], None)


def test_a_search_is_run_as_asked(calls: list[tuple[Any, ...]], tmp_path: Path) -> None:
    words = "--protocol smoke --budget 3h --max gflops=8 --max params=5e6 --sampler tpe --set recipe.lr=0.5 --jobs 2"
    assert main(["study", "search_rtmo", *words.split()]) == 0
    ((name, (run,), named),) = calls
    assert name.endswith("run_search") and named["jobs"] == 2
    assert (run.search.name, run.protocol.name, run.budget, run.sampler) == ("search_rtmo", "smoke", 180.0, "tpe")
    assert run.limits == {"gflops": 8.0, "params": 5e6} and run.changes == {"recipe.lr": 0.5}
    assert run.home == (tmp_path / "home").resolve() and run.home.is_dir()


def test_what_is_not_given_has_a_default(calls: list[tuple[Any, ...]]) -> None:
    assert main(["study", "resume", "search_rtmo"]) == 0
    ((_, (run,), named),) = calls
    assert (run.protocol.name, run.budget, run.sampler, run.limits) == ("short", 60.0, "surrogate", {})
    assert run.data is None and named["jobs"] is None and run.all_limits == run.search.limits


def test_a_search_trains_on_a_data_set(calls: list[tuple[Any, ...]]) -> None:
    assert main(["study", "search_rtmo", "--data", "some/folder"]) == 0
    (run,) = calls[-1][1]
    assert run.data == Path("some/folder") and run.fingerprint == "folder@1"


def test_a_retry_runs_and_says_so(calls: list[tuple[Any, ...]]) -> None:
    for words, again in (("study retry", True), ("study", False)):
        calls.clear()
        assert main([*words.split(), "search_rtmo", "--budget", "90min"]) == 0
        ((name, (run,), options),) = calls
        assert name.endswith("run_search") and options["again"] is again and run.budget == 90.0


def test_its_front_is_trained_on_where_that_is_asked_for(
    calls: list[tuple[Any, ...]], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    later = watch(monkeypatch, {"workbench.experiments.search.longer.train_on": 7})
    assert main(["study", "search_rtmo", "--protocol", "smoke", "--then", "short"]) == 7
    ((_, (run, under), named),) = later
    assert (run.search.name, run.protocol.name, under.name) == ("search_rtmo", "smoke", "short")
    assert named["retried"] is False and len(calls) == 1
    calls.clear()
    assert main(["study", "search_rtmo", "--then", "short"]) == 2 and calls == []
    assert "--then short: that is what the search trains under" in capsys.readouterr().err


@pytest.mark.soak
def test_a_search_on_five_key_points_runs_to_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("WORKBENCH_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(studies, "__path__", [*studies.__path__, str(tmp_path)])
    (tmp_path / "goats.py").write_text(GOATS, "utf-8")
    data = animals(tmp_path / "animals", labelled(16, 1), labelled(4, 2))
    words = ["--protocol", "smoke", "--data", str(data)]
    assert main(["study", "goats", *words, "--budget", "0.01min", "--jobs", "1"]) == 0
    assert main(["study", "status", "goats", *words]) == 0
    results = [*(tmp_path / "home/jobs").glob("*/result.json")]
    assert len(results) >= 3, "what is on the front gets three seeds, whatever the budget"
    assert main(["search", "front", "goats", *words]) == 0
    said = capsys.readouterr().out
    assert "key points: 5 of 'goat'" in said and "#000" in said and "1 candidate looked at" in said


def test_the_status_makes_nothing(calls: list[tuple[Any, ...]], tmp_path: Path) -> None:
    assert main(["study", "status", "search_rtmo", "--max", "gflops=8", "--budget", "3h"]) == 1
    ((name, (run,), _),) = calls
    assert name.endswith("status") and run.limits == {"gflops": 8.0} and run.budget == 180.0
    assert not (tmp_path / "home").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("study search_rtmo --seeds 3", "search_rtmo is a search: its seeds go where they tell most; leave out --seed"),
        ("study search_rtmo --until decided", "leave out --until"),
        ("study status search_rtmo --first-seed 3", "leave out --first-seed"),
        ("study search_rtmo --budget 7", "--budget 7: search_rtmo is a search; give a time, as in --budget 7h"),
        ("study status search_rtmo --budget 7", "--budget 7: search_rtmo is a search; give a time"),
        ("study search_rtmo --budget nonsense", "expected a number of jobs, or for a search a time as in 3h"),
        ("study search_rtmo --budget 0h", "0 minutes; must be above 0"),
        ("study search_rtmo --max gflops=x", "expected COST=NUMBER"),
        ("study search_rtmo --max gflops=8 --max gflops=9", "--max gflops: it is given 2 times; give it once"),
        ("study search_rtmo --max watts=8", "'watts' is not measured; there are gflops, params, ms"),
        ("study search_rtmo --sampler grid", "--sampler grid: there are surrogate, tpe"),
        ("study replay search_rtmo", "study replay search_rtmo: it is a search"),
        ("study audit search_rtmo", "study audit search_rtmo: it is a search"),
        ("study ablate_dcc --max gflops=8", "--max: it is for searches, and this is a study; leave it out"),
        ("study ablate_dcc --sampler tpe", "--sampler: it is for searches, and this is a study; leave it out"),
        ("study ablate_dcc --budget 3h", "--budget 3h: that is for a search"),
        ("study status ablate_dcc --budget 3h", "--budget 3h: that is for a search"),
        ("study profile_persons --max gflops=8", "--max: it is for searches"),
    ],
)
def test_words_that_do_not_go_together(
    words: str, said: str, calls: list[tuple[Any, ...]], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words.split()) == 2
    assert said in capsys.readouterr().err and calls == []
