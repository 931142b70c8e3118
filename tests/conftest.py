"""One thread and a home of its own for every test."""

import os
import tempfile
from collections.abc import Iterator

import pytest

for _variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ[_variable] = "1"  # read when torch and numpy are imported: it stands above them

import torch  # noqa: E402

from tests.added import ADDED  # noqa: E402
from workbench.evaluation.metrics import METRICS, Metric  # noqa: E402

torch.set_num_threads(1)


@pytest.fixture(scope="session", autouse=True)
def _home() -> Iterator[None]:
    """Runs that a test records go to a folder that is deleted."""
    with tempfile.TemporaryDirectory(prefix="workbench-") as folder, pytest.MonkeyPatch.context() as patch:
        patch.setenv("WORKBENCH_HOME", folder)
        yield


@pytest.fixture(params=ADDED, ids=lambda metric: metric.name)
def added(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Metric:
    """A metric that is not in the table, added to it for one test."""
    metric: Metric = request.param
    assert metric.name not in METRICS
    monkeypatch.setitem(METRICS, metric.name, metric)
    return metric
