"""Where runs are recorded."""

from pathlib import Path

import pytest

from workbench.core.errors import Refused
from workbench.core.home import runs_folder


def test_who_only_reads_makes_no_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORKBENCH_HOME", str(tmp_path / "deep/er"))
    assert runs_folder(make=False) == tmp_path / "deep/er" and not (tmp_path / "deep").exists()
    assert runs_folder() == tmp_path / "deep/er" and runs_folder().is_dir()


def test_without_a_word_it_is_in_the_current_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WORKBENCH_HOME")
    monkeypatch.chdir(tmp_path)
    assert runs_folder() == tmp_path / "runs"


def test_a_file_in_its_place_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("WORKBENCH_HOME", str(tmp_path / "file"))
    with pytest.raises(Refused, match=r"WORKBENCH_HOME .*file: .*; name a folder that can be written to"):
        runs_folder()


@pytest.mark.parametrize("name", ["a?b", "a%20b", "brace{}", "a{0}b"])
def test_a_name_that_an_address_takes_for_more_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv("WORKBENCH_HOME", str(tmp_path / name))
    for make in (True, False):
        with pytest.raises(Refused, match="would be read as more than a name; take another"):
            runs_folder(make)
    assert list(tmp_path.iterdir()) == []


def test_a_tilde_is_the_users_home_and_nothing_is_as_if_not_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    monkeypatch.setenv("WORKBENCH_HOME", "~/deep")
    assert runs_folder(make=False) == tmp_path / "deep"
    monkeypatch.setenv("WORKBENCH_HOME", "")
    monkeypatch.chdir(tmp_path)
    assert runs_folder(make=False) == tmp_path / "runs"
