"""The made-up study: its jobs alone, and its record as a page reads it."""

import shutil
from pathlib import Path

import pytest

from tests.report.made_up import FOUND, SETTING, STUDY, TINY, TWO, complete, run_in
from workbench.report.record import Record, load_record, write_record
from workbench.training.machine import Machine
from workbench.training.run import run


@pytest.fixture(scope="session")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Complete jobs with known numbers, and their record. It takes a second: tests work on copies."""
    folder = tmp_path_factory.mktemp("written")
    complete(folder, STUDY, SETTING, FOUND.__getitem__)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr("workbench.report.slices.FEWEST", 3)  # of 40 images
        write_record(run_in(folder))
    return folder


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two rows with real networks of a few steps, in folders of complete jobs."""
    home = tmp_path_factory.mktemp("trained")
    for one in TWO.planned_jobs(TINY):
        run(one.job, Machine(), home)
    return home


@pytest.fixture
def home(written: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The jobs alone; files are written below the test's own folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("workbench.report.slices.FEWEST", 3)
    shutil.copytree(written / "jobs", tmp_path / "jobs")
    return tmp_path


@pytest.fixture
def record(written: Path, home: Path) -> Record:
    shutil.copytree(written / "reports", home / "reports")
    return load_record(run_in(home))
