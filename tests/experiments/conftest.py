"""Workers that start at once, and a study of fakes to run."""

import gc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.experiments.fakes import SETTING, STUDY, NoRecord, start
from tests.experiments.seven import alone as alone
from tests.shared_files import address as address
from tests.shared_files import bucket as bucket
from tests.shared_files import s3 as s3
from tests.shared_files import s3_server as s3_server
from tests.shared_store import database as database
from tests.shared_store import postgres as postgres
from workbench.core import processes
from workbench.experiments import runner, tracking
from workbench.experiments.plan import StudyRun
from workbench.experiments.worker_pool import TrainJob


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> None:
    """Workers as they are made in use; its imports take seconds."""
    monkeypatch.setattr(processes, "START", "forkserver")


@pytest.fixture
def light(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Workers are forks, MLflow is not opened, and rows are not compared.

    What earlier tests have left over belongs to this process: no fork ends clients and servers whose threads it lacks.
    """
    monkeypatch.setattr(processes, "START", "fork")
    monkeypatch.setattr(tracking, "MlflowRecord", NoRecord)
    monkeypatch.setattr(runner, "check_distinct", lambda planned: None)  # has its own tests
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.fixture
def go(tmp_path: Path) -> Callable[..., int]:
    """Runs the study of fakes, with options of its run."""

    def started(train: TrainJob, **options: Any) -> int:
        return start(StudyRun(STUDY, SETTING, tmp_path, **options), train)

    return started
