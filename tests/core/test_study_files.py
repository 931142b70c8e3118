"""The studies by the files of their package: listed without an import, and an unknown name is refused."""

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from workbench.core.errors import Refused
from workbench.core.study_files import check_study, known_studies


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty package `studies` that is found before the real one."""
    loaded = {name: module for name, module in sys.modules.items() if name.partition(".")[0] == "studies"}
    for name in loaded:
        del sys.modules[name]
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "studies").mkdir()
    (tmp_path / "studies" / "__init__.py").touch()
    yield tmp_path / "studies"
    for name in [name for name in sys.modules if name.partition(".")[0] == "studies"]:
        del sys.modules[name]
    sys.modules.update(loaded)


def test_studies_are_named_in_order_and_not_imported(package: Path) -> None:
    for name in ("second", "first"):
        (package / f"{name}.py").write_text("raise SystemExit('imported')")
    (package / "notes.txt").touch()
    assert known_studies() == ["first", "second"]
    assert not {"studies.first", "studies.second"} & set(sys.modules)


def test_the_ones_of_this_project_are_found() -> None:
    files = Path(__file__).parents[2].joinpath("studies").glob("*.py")
    assert known_studies() == sorted(file.stem for file in files if file.stem != "__init__")


def test_without_a_package_there_are_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "studies", None)  # as where there is no such folder
    assert known_studies() == []
    with pytest.raises(Refused, match=r"no study is called 'first'; there are \[\]\. Run from the folder that holds"):
        check_study("first")


def test_a_name_that_no_study_has_is_refused_with_those_there_are(package: Path) -> None:
    (package / "first.py").touch()
    check_study("first")
    for wrong in ("second", "First", "", "first.py", "__init__"):
        with pytest.raises(Refused) as refused:
            check_study(wrong)
        assert str(refused.value) == (
            f"no study is called {wrong!r}; there are ['first']. Run from the folder that holds studies/"
        )


def test_the_folder_of_a_run_is_told_what_shows_it(package: Path, tmp_path: Path) -> None:
    run = tmp_path / "my run"
    run.mkdir()
    (run / "job.json").touch()
    with pytest.raises(Refused, match=r"the folder of one run\. workbench predict '.*my run' PICTURE draws") as bare:
        check_study(str(run))
    (run / "predictions.png").touch()
    with pytest.raises(Refused, match=r"PICTURE draws what it finds, .*my run/predictions\.png what it found on vali"):
        check_study(str(run))
    assert "predictions.png" not in str(bare.value)


def test_a_folder_of_the_current_one_is_found_without_an_init_and_comes_first(
    package: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (package / "first.py").write_text("WHOSE = 'installed'")
    own = tmp_path / "here" / "studies"
    own.mkdir(parents=True)
    for name in ("first", "one"):
        (own / f"{name}.py").write_text("WHOSE = 'mine'")
    monkeypatch.chdir(own.parent)
    assert known_studies() == ["first", "one"]
    check_study("one")
    assert importlib.import_module("studies.first").WHOSE == "mine"
