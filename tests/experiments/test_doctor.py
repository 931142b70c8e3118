"""What each probe finds where all is well and where something is broken; a probe that fails is a finding."""

from __future__ import annotations

import json
import shutil
import sqlite3
import time
import tomllib
from collections.abc import Iterator
from contextlib import closing
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
import torch

from workbench.core import provenance
from workbench.experiments import doctor
from workbench.experiments.doctor import DISTRIBUTION_NAME, EXTRAS, PROBES, Health, Symptom, examine


def probed(name: str, home: Path) -> list[Symptom]:
    return examine(home, {name: PROBES[name]})


def states(name: str, home: Path) -> dict[str, Health]:
    return {one.about: one.state for one in probed(name, home)}


def test_here_nothing_is_broken_and_nothing_is_made(tmp_path: Path) -> None:
    home = tmp_path / "home"
    found = examine(home)
    assert [one for one in found if one.state is Health.BROKEN and one.about != "free disk"] == []
    assert {"python", "packages", "processor", "threads", "home", "mlflow", "trunks"} <= {one.about for one in found}
    assert not home.exists()
    json.dumps([one.as_dict() for one in found], allow_nan=False)


@pytest.mark.parametrize("name", [name for name in PROBES if name not in ("code", "devices", "threads")])
def test_a_probe_is_quick(name: str, tmp_path: Path) -> None:
    """torch, which three of them import, aside."""
    before = time.process_time()
    probed(name, tmp_path)
    assert time.process_time() - before < 0.5


def test_a_probe_that_fails_is_a_finding_and_the_others_go_on(tmp_path: Path) -> None:
    def failing(_: Path) -> Iterator[Symptom]:
        yield Symptom("one", Health.FINE, "well")
        raise PermissionError("not yours\nmore")

    found = examine(tmp_path, {"odd": failing, "python": PROBES["python"]})
    assert [(one.about, one.state) for one in found] == [
        ("one", Health.FINE), ("odd", Health.BROKEN), ("python", Health.FINE),
    ]  # fmt: skip
    assert str(found[1]) == "!! odd: PermissionError: not yours"


def test_extras_and_name_are_those_of_the_package() -> None:
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text("utf-8"))["project"]
    assert set(project["optional-dependencies"]) == set(EXTRAS)
    assert project["name"] == DISTRIBUTION_NAME == provenance.DISTRIBUTION


@pytest.mark.parametrize(("there", "said"), [(None, "torch is missing"), ("1.0", "torch is 1.0, >=2.8 is needed")])
def test_a_package_that_is_missing_or_old_is_broken(
    there: str | None, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    version = metadata.version

    def without_torch(name: str) -> str:
        if name == "torch" and there is None:
            raise metadata.PackageNotFoundError(name)
        return there if name == "torch" and there is not None else version(name)

    monkeypatch.setattr(doctor.metadata, "version", without_torch)
    (found,) = probed("packages", tmp_path)
    assert (found.state, found.said) == (Health.BROKEN, said)


def test_a_missing_extra_is_noted_with_what_it_is_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    version = metadata.version

    def without_onnx(name: str) -> str:
        if name == "onnx":
            raise metadata.PackageNotFoundError(name)
        return version(name)

    monkeypatch.setattr(doctor.metadata, "version", without_onnx)
    found = {one.about: one for one in probed("extras", tmp_path)}["extra onnx"]
    assert (found.state, found.said) == (Health.NOTED, "onnx is missing")
    assert found.cure.startswith("for workbench deploy") and found.cure.endswith("'rtmo-workbench[onnx]'")


def test_more_threads_than_cores_are_noted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert states("threads", tmp_path) == {"threads": Health.FINE}
    monkeypatch.setattr(torch, "get_num_threads", lambda: 999)
    assert states("threads", tmp_path) == {"threads": Health.NOTED}


def test_a_home_that_can_not_be_written_or_loses_data_is_broken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "which the first run makes" in probed("home", tmp_path / "deep/er")[0].said
    monkeypatch.setattr(doctor, "file_system", lambda _: "nfs4")
    assert "is on nfs4, where SQLite loses data" in probed("home", tmp_path)[0].said
    (tmp_path / "file").touch()
    found = probed("home", tmp_path / "file")[0]
    assert found.state is Health.BROKEN and "WORKBENCH_HOME" in found.cure


@pytest.mark.parametrize(("free", "state"), [(1, Health.BROKEN), (5, Health.NOTED), (50, Health.FINE)])
def test_little_space_is_said(free: int, state: Health, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Usage:
        def __init__(self) -> None:
            self.free = free * doctor.GB

    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage())
    assert states("disk", tmp_path / "not there") == {"free disk": state}


def test_a_store_that_can_not_be_read_is_broken(tmp_path: Path) -> None:
    assert states("stores", tmp_path) == {"mlflow": Health.FINE, "optuna": Health.FINE}
    with closing(sqlite3.connect(tmp_path / "mlflow.db")) as store:
        store.execute("create table runs (id)")
        store.execute("insert into runs values (1)")
        store.commit()
    (tmp_path / "optuna.db").write_bytes(b"no database at all" * 100)
    mlflow, optuna = probed("stores", tmp_path)
    assert (mlflow.state, mlflow.said) == (Health.FINE, f"1 runs in {tmp_path / 'mlflow.db'}")
    assert optuna.state is Health.BROKEN and "cannot be read" in optuna.said and "move it away" in optuna.cure


def test_a_shared_store_is_looked_at_where_one_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WORKBENCH_STORE", raising=False)
    assert probed("shared store", tmp_path) == []
    monkeypatch.setenv("WORKBENCH_STORE", "mysql://me:secret@db")
    (found,) = probed("shared store", tmp_path)
    assert found.state is Health.BROKEN and "expected postgresql://" in found.said and "secret" not in found.said
    monkeypatch.setattr(doctor, "file_system", lambda _: "nfs4")
    assert states("home", tmp_path) == {"home": Health.FINE}, "nothing of it is a file of SQLite's"


def test_shared_files_are_looked_at_where_they_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WORKBENCH_FILES", raising=False)
    assert probed("shared files", tmp_path) == []
    monkeypatch.setenv("WORKBENCH_FILES", f"file://{tmp_path}/none")
    (found,) = probed("shared files", tmp_path)
    assert found.state is Health.BROKEN and "there is no such folder" in found.said
    monkeypatch.setenv("WORKBENCH_FILES", f"file://{tmp_path}")
    for name in ("jobs/a/result.json", "jobs/a/curve.csv", "jobs/b/owner"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (found,) = probed("shared files", tmp_path)
    assert (found.state, found.said) == (Health.FINE, f"file://{tmp_path} holds 2 jobs")


def begun(folder: Path, data: str | None) -> Path:
    folder.mkdir(parents=True)
    (folder / "run.json").write_text(json.dumps({"data": data}))
    return folder


def test_a_data_folder_that_is_gone_is_noted(tmp_path: Path) -> None:
    for name, data in (("a", str(tmp_path)), ("b", str(tmp_path / "gone")), ("c", None)):
        begun(tmp_path / name, data)
    (tmp_path / "c" / "run.json").write_text("no json")
    scenes, runs, gone, odd = probed("data", tmp_path)
    assert odd.state is Health.NOTED and "c/run.json cannot be read" in odd.said
    assert scenes.said == "none are drawn yet" and runs.said.startswith(f"3 right below {tmp_path} or recorded in its")
    assert gone.state is Health.NOTED and str(tmp_path / "gone") in gone.said and "--resume" in gone.cure


def test_a_run_elsewhere_is_known_by_its_record(tmp_path: Path) -> None:
    """Not one of which nothing says where it lies; then it is said where was looked."""
    home = tmp_path / "home"
    elsewhere = begun(tmp_path / "far/first", str(tmp_path / "gone"))
    begun(tmp_path / "far/second", str(tmp_path / "gone"))
    home.mkdir()
    assert probed("data", home)[1].said == (
        f"0 right below {home} or recorded in its MLflow store; others are not looked for"
    )
    with closing(sqlite3.connect(home / "mlflow.db")) as store:
        store.execute("create table tags (key, value)")
        folders = [("folder", str(elsewhere)), ("folder", str(tmp_path / "far/moved away")), ("job", "x")]
        store.executemany("insert into tags values (?, ?)", folders)
        store.commit()
    _, runs, gone = probed("data", home)
    assert runs.said.endswith(f"others are not looked for: {elsewhere}") and f"of {elsewhere}" in gone.said


def test_where_no_study_is_found_it_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "known_studies", list)
    found: Any = probed("studies", tmp_path)[0]
    assert found.state is Health.NOTED and "workbench init FOLDER" in found.cure
