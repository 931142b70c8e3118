"""One thread and a home of its own for every test; which tests are fast, and which stay in one process."""

import os
import tempfile
from collections.abc import Iterator

import pytest

for _variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ[_variable] = "1"  # read when torch and numpy are imported, which comes later

from tests.added import ADDED  # noqa: E402
from workbench.evaluation.metrics import METRICS, Metric  # noqa: E402


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Marks what is not slow as fast, keeps the tests of a file in one process, and begins with the slow files.

    A file has fixtures of its own that take their time, which is wanted once. Several files share a process where they
    name the same `xdist_group`. Slow files last would leave the other processes without work at the end.
    """
    slow: set[str] = set()
    for item in items:
        if item.get_closest_marker("xdist_group") is None:
            item.add_marker(pytest.mark.xdist_group(_file(item)))
        if item.get_closest_marker("slow") is None:
            item.add_marker("fast")
        else:
            slow.add(_file(item))
    items.sort(key=lambda item: _file(item) not in slow)


def _file(item: pytest.Item) -> str:
    return item.nodeid.partition("::")[0]


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
