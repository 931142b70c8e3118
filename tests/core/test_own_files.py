"""A person's own files: found in the current folder without an `__init__.py`, and before others of their names."""

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from workbench.core.own_files import own_modules, own_package

NAME = "odd_things"  # no package is called so


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The current folder, and beside it one that Python searches."""
    (tmp_path / "here").mkdir()
    (tmp_path / "path").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.syspath_prepend(tmp_path / "path")
    yield tmp_path / "here"
    for name in [name for name in sys.modules if name.partition(".")[0] == NAME]:
        del sys.modules[name]


def package(folder: Path, **modules: int) -> Path:
    (folder / NAME).mkdir()
    for name, value in modules.items():
        (folder / NAME / f"{name}.py").write_text(f"VALUE = {value}\n")
    importlib.invalidate_caches()
    return folder / NAME


def value(name: str) -> int:
    return importlib.import_module(f"{NAME}.{name}").VALUE


def test_a_folder_that_python_does_not_search_is_found(here: Path) -> None:
    package(here, mine=1, _private=2)
    assert own_package(NAME) is not None
    assert own_modules(NAME) == [f"{NAME}.mine"] and value("mine") == 1


def test_it_comes_before_a_package_elsewhere_which_stays(here: Path) -> None:
    (package(here.parent / "path", both=2, theirs=3) / "__init__.py").touch()
    package(here, both=1)
    assert own_package(NAME) is own_package(NAME) is not None
    assert (value("both"), value("theirs")) == (1, 3)
    assert own_modules(NAME) == [f"{NAME}.both"]


def test_a_package_of_the_current_folder_is_found_as_any_is(here: Path) -> None:
    (package(here, mine=1) / "__init__.py").touch()
    assert own_package(NAME) is None and own_modules(NAME) == []


def test_without_either_there_is_none(here: Path) -> None:
    assert own_package(NAME) is None and own_modules(NAME) == []
