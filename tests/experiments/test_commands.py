"""Printed commands mean the run that printed them."""

import shlex
from dataclasses import fields, replace
from pathlib import Path

import pytest

from tests.experiments.fakes import SETTING, STUDY
from tests.experiments.search.searched import SEARCH
from tests.experiments.search.searched import SETTING as SMALL
from workbench.experiments import commands
from workbench.experiments.file_trunk import OnFileProtocol
from workbench.experiments.plan import StudyRun, UntilDecided
from workbench.experiments.search.plan import SearchRun


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_they_begin_as_the_folder_is_used(tmp_path: Path) -> None:
    assert commands.command("report", "x") == "workbench report x"
    (tmp_path / "noxfile.py").touch()
    assert commands.command("report", "x") == "nox -s report -- x"
    assert commands.command("ui") == "nox -s ui"


def test_all_that_a_study_was_given_is_said(tmp_path: Path) -> None:
    plain = StudyRun(STUDY, SETTING, tmp_path)
    assert commands.following(plain)[:2] == (
        "workbench study retry fake --protocol test",
        "workbench report fake --protocol test",
    )
    changes = {"recipe.lr": 0.5, "recipe.ema_gamma": 9}
    given = StudyRun(STUDY, SETTING, tmp_path, seeds=3, first_seed=2, changes=changes, rows=("base", "static"))
    retry, page, *_ = commands.following(given)
    said = "fake --protocol test --seeds 3 --first-seed 2 --set recipe.lr=0.5 --set recipe.ema_gamma=9"
    assert page == f"workbench report {said}"
    assert retry == page.replace("report", "study retry") + " --rows base,static"


def test_until_decided_is_said(tmp_path: Path) -> None:
    until = StudyRun(STUDY, SETTING, tmp_path, until=UntilDecided(9))
    assert commands.following(until).retry.endswith("--until decided --budget 9")


def test_a_protocol_on_a_file_is_called_as_it_was_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    values = {f.name: getattr(SETTING, f.name) for f in fields(SETTING)}
    under = replace(OnFileProtocol(**values, asked="short", source="my weights.pth"), name="probe_0123abcd")
    run = StudyRun(STUDY, under, tmp_path, seeds=2)
    retry, page, pages, gallery = commands.following(run)
    for said in (retry, page, gallery):
        assert "fake --protocol short --seeds 2 --trunk 'my weights.pth'" in said
    assert pages == tmp_path / "own/reports/rendered", "a person's own, not among those of a checkout"
    monkeypatch.setenv("WORKBENCH_STORE", "postgresql://me@db/runs")
    words = shlex.split(commands.joining(run))
    assert words[:7] == ["workbench", "worker", "fake", "--protocol", "short", "--trunk", "my weights.pth"]


def test_what_is_typed_on_another_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORKBENCH_STORE", "postgresql://me:secret@db/runs")
    study = StudyRun(STUDY, SETTING, tmp_path, seeds=3, first_seed=2)
    where = "--store postgresql://me@db/runs"
    assert commands.joining(study) == f"workbench worker fake --protocol test --first-seed 2 {where}"
    search = SearchRun(SEARCH, SMALL, tmp_path, budget=180.0)
    assert commands.joining(search) == f"workbench worker planted --protocol small {where}"
    assert commands.following(study).retry.endswith(f"--seeds 3 --first-seed 2 {where}")
    monkeypatch.setenv("WORKBENCH_FILES", "file:///my runs")
    assert commands.joining(search).endswith(f"{where} --files 'file:///my runs'")
    monkeypatch.delenv("WORKBENCH_FILES")
    monkeypatch.delenv("WORKBENCH_STORE")
    assert commands.joining(search) == "workbench worker planted --protocol small"


def test_a_search_is_said_with_its_terms(tmp_path: Path) -> None:
    run = SearchRun(SEARCH, SMALL, tmp_path, budget=180.0, limits={"ms": 1.2}, sampler="tpe")
    assert commands.of_search(run) == ["planted", "--protocol small"]
    assert commands.terms_of(run) == ["--budget 180min", "--max ms=1.2", "--sampler tpe"]
    assert commands.terms_of(SearchRun(SEARCH, SMALL, tmp_path)) == []
