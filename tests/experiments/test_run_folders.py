"""Runs by their folder, their key, or their number in MLflow."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.experiments.own import small_run
from tests.small import small_job
from workbench.core.errors import Refused
from workbench.experiments import tracking
from workbench.experiments.run_folders import run_folder
from workbench.training.record import job_folder, write_result


def test_a_run_is_found_by_its_folder_its_key_and_its_number(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    job = small_job()
    folder = small_run(job_folder(tmp_path, job.key)).folder
    with pytest.raises(Refused, match=r"holds no result.json; the run is not complete"):
        run_folder(str(folder), tmp_path)
    write_result(folder, job.key, {"AP": 0.5}, {})
    monkeypatch.setattr(tracking, "recorded_folder", lambda home, number: folder if number == "a" * 32 else None)
    for what in (str(folder), job.key, "a" * 32):
        assert run_folder(what, tmp_path) == folder


@pytest.mark.parametrize("what", ["nobody", "0" * 12, "b" * 32])
def test_what_is_none_is_refused(what: str, tmp_path: Path) -> None:
    with pytest.raises(Refused, match=f"'{what}': no such folder, key of a job or number of an MLflow run; looked for"):
        run_folder(what, tmp_path)
    with pytest.raises(Refused, match=r"holds no job.json; expected the folder of a run"):
        run_folder(str(tmp_path), tmp_path)
