"""Runs by what a person has of them: the folder of a job, its key in the home, or its number in MLflow."""

from __future__ import annotations

import re
from pathlib import Path

from workbench.core.errors import Refused
from workbench.training.record import job_folder

JOB_FILE, RESULT_FILE = "job.json", "result.json"
_KEY, _MLFLOW = re.compile("[0-9a-f]{12}"), re.compile("[0-9a-f]{32}")


def run_folder(what: str, home: Path) -> Path:
    """The folder of a complete run.

    Args:
        what: its folder, the key of a job below `home`, or the number that MLflow gave it there.

    Raises:
        Refused: there is no such run, or it is not complete.
    """
    folder = _folder(what, home)
    if not (folder / JOB_FILE).is_file():
        raise Refused(f"{folder} holds no {JOB_FILE}; expected the folder of a run")
    if not (folder / RESULT_FILE).is_file():
        raise Refused(f"{folder} holds no {RESULT_FILE}; the run is not complete")
    return folder


def _folder(what: str, home: Path) -> Path:
    if Path(what).is_dir():
        return Path(what)
    if _KEY.fullmatch(what) and (folder := job_folder(home, what)).is_dir():
        return folder
    if _MLFLOW.fullmatch(what):
        from workbench.experiments.tracking import (
            recorded_folder,  # who needs names of files alone waits for no metrics
        )

        if (found := recorded_folder(home, what)) is not None:
            return found
    raise Refused(f"{what!r}: no such folder, key of a job or number of an MLflow run; looked for the latter in {home}")
