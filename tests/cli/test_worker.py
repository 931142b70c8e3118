"""`workbench worker` and the options `--store` and `--files`: what they read, refuse and hand on."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
import typer

from tests.cli.commands import options_of, watch
from tests.data.datasets.animals import animals
from tests.models.written import mmpose_file
from workbench.__main__ import main
from workbench.cli import worker
from workbench.cli.study_runs import asked_study
from workbench.cli.worker import core_numbers, keep_to
from workbench.core.errors import Refused
from workbench.experiments import commands
from workbench.experiments.plan import StudyRun
from workbench.study import Study

STORE = "postgresql://me@db/runs"


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home of its own, a store that is taken back, and a driver, whether it is installed or not."""
    monkeypatch.setenv("WORKBENCH_HOME", str(tmp_path))
    monkeypatch.setenv("WORKBENCH_STORE", "")
    monkeypatch.setenv("WORKBENCH_FILES", "")
    monkeypatch.setattr("workbench.core.processes.prepare", lambda: None)
    monkeypatch.setitem(sys.modules, "psycopg", type(sys)("psycopg"))
    return tmp_path


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    return watch(monkeypatch, {"workbench.experiments.joined.join": 0})


@pytest.mark.parametrize(
    ("given", "cores"), [("3", (3,)), ("0-3,8", (0, 1, 2, 3, 8)), ("4,2", (4, 2)), ("1,0-2", (1, 0, 2))]
)
def test_cores_are_numbers_and_ranges(given: str, cores: tuple[int, ...]) -> None:
    assert core_numbers(given) == cores


@pytest.mark.parametrize("given", ["", "a", "0-", "-1", "0..3", "1, 2"])
def test_what_is_no_list_of_cores_is_refused(given: str) -> None:
    with pytest.raises(typer.BadParameter, match="expected numbers of processor cores, as in 0-3,8"):
        core_numbers(given)


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system binds no process to a core")
def test_it_keeps_to_its_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    bound: list[Any] = []
    monkeypatch.setattr(worker.os, "sched_getaffinity", lambda _: {0, 1})
    monkeypatch.setattr(worker.os, "sched_setaffinity", lambda _, cores: bound.append(cores))
    keep_to((1,))
    keep_to(None)
    with pytest.raises(Refused, match="--cores: core 7 can not be used here; there are 0, 1"):
        keep_to((1, 7))
    assert bound == [(1,)]


def test_its_words_reach_the_queue_of_the_study(home: Path, calls: list[tuple[Any, ...]]) -> None:
    words = "ablate_dcc --protocol smoke --first-seed 2 --set recipe.lr=0.5 --jobs 3 --wait"
    assert main(["worker", *words.split(), "--store", STORE]) == 0
    ((_, words_given, given),) = calls
    assert given == {"jobs": 3, "cores": (), "wait": True} and os.environ["WORKBENCH_STORE"] == STORE
    asked, under = asked_study("ablate_dcc", "smoke")
    assert isinstance(asked, Study)
    planned = StudyRun(asked, under, home, seeds=4, first_seed=2, changes={"recipe.lr": 0.5})
    assert words_given == (home, planned.name, None) and planned.name.startswith("ablate_dcc/smoke/")


def test_jobs_on_the_trunk_of_a_file_have_the_queue_that_the_study_has(
    home: Path, calls: list[tuple[Any, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As many seeds as there are, from a copy of the weights that this machine keeps as well."""
    data = animals(home / "goats")
    mmpose_file(home / "a.pth", 5)
    words = ["ablate_dcc", "--protocol", "probe", "--data", str(data), "--trunk", str(home / "a.pth")]
    ran = watch(monkeypatch, {"workbench.experiments.runner.run_study": 1})
    assert main(["study", *words, "--seeds", "7"]) == 1
    shutil.rmtree(home / "starts")
    assert main(["worker", *words, "--store", STORE]) == 0
    (_, (_, queue, given), _), study = calls[0], ran[0][1][0]
    assert queue == study.name and "/probe_" in f"/{queue}" and given == data
    assert len(list((home / "starts").glob("*.pth"))) == 1
    assert main(["worker", *commands.joining(study).split()[2:], "--wait"]) == 0 and calls[1][1] == calls[0][1]


def test_files_are_named_beside_the_store(home: Path, calls: list[tuple[Any, ...]]) -> None:
    words = ["worker", "ablate_dcc", "--protocol", "smoke", "--store", STORE, "--files", f"file://{home}"]
    assert main(words) == 0
    assert len(calls) == 1 and os.environ["WORKBENCH_FILES"] == f"file://{home}"


@pytest.mark.parametrize("words", [("worker",), ("study",), ("study", "status"), ("study", "retry"), ("report",)])
def test_files_are_an_option_of_all_who_need_them(words: tuple[str, ...]) -> None:
    assert "--files" in options_of(*words)


def test_files_that_are_not_there_are_refused_before_work_starts(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for words in (["study"], ["study", "status"], ["report"]):
        assert main([*words, "ablate_dcc", "--protocol", "smoke", "--files", f"file://{home}/none"]) == 2
        err = capsys.readouterr().err
        assert "there is no such folder; make it, or mount its disk" in err and err.count("\n") == 1
    assert not (home / "jobs").exists() and not (home / "optuna.db").exists()


def test_a_search_has_workers_too(calls: list[tuple[Any, ...]]) -> None:
    assert main(["worker", "search_rtmo", "--protocol", "smoke", "--wait", "--store", STORE]) == 0
    ((_, (_, queue, _), _),) = calls
    assert queue == "search_rtmo/smoke"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("worker nobody", "no study is called 'nobody'"),
        ("worker profile_persons", "worker profile_persons: nothing is trained under cost, so no jobs can wait"),
        ("worker search_rtmo --first-seed 3", "leave out --first-seed"),
        ("worker search_rtmo --trunk a.pth", "leave out --trunk"),
        ("worker ablate_dcc --protocol probe --trunk a.pth", "its features are of images; add --data FOLDER"),
        (
            "worker ablate_dcc --protocol smoke --trunk a.pth --data .",
            "smoke trains whole networks; use --protocol probe",
        ),
        ("worker ablate_levels --protocol probe --trunk a.pth --data .", "can not stand on a frozen trunk"),
        ("worker ablate_dcc --jobs 0", "--jobs '0': expected a whole number of 1 or more"),
        ("worker ablate_dcc --cores x", "--cores 'x': expected numbers of processor cores, as in 0-3,8"),
        ("worker ablate_dcc --store mysql://me:secret@db", "store mysql://...: expected postgresql://"),
        ("worker ablate_dcc --files s3://me:secret@runs", "files s3://...: expected s3://BUCKET/PREFIX"),
        ("study ablate_dcc --files /secret", "files ://...: expected s3://BUCKET/PREFIX"),
        ("report ablate_dcc --files ftp://me:secret@host", "files ftp://...: expected s3://BUCKET/PREFIX"),
        ("study ablate_dcc --store mysql://me:secret@db", "store mysql://...: expected postgresql://"),
        ("study status ablate_dcc --store mysql://me:secret@db", "store mysql://...: expected postgresql://"),
        ("study profile_persons --store postgresql://db/x", "nothing is trained; leave out --store"),
        ("study ablate_dcc --protocol smoke --jobs 0", "--jobs 0: then other machines do the jobs"),
    ],
)
def test_what_is_wrong_is_said_in_a_line(
    words: str, said: str, calls: list[tuple[Any, ...]], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words.split()) == 2
    err = capsys.readouterr().err
    assert said in err and err.count("\n") == 1 and "secret" not in err and not calls


def test_a_study_may_plan_for_others_alone(calls: list[tuple[Any, ...]], monkeypatch: pytest.MonkeyPatch) -> None:
    ran = watch(monkeypatch, {"workbench.experiments.runner.run_study": 1})
    assert main(["study", "ablate_dcc", "--protocol", "smoke", "--jobs", "0", "--store", STORE]) == 1
    assert ran[0][2]["jobs"] == 0 and os.environ["WORKBENCH_STORE"] == STORE
