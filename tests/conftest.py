"""One thread and a home of its own for every test; which tests are fast, and which come first."""

import os
import tempfile
from collections.abc import Iterator

import pytest

for _variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ[_variable] = "1"  # read when torch and numpy are imported, which comes later

from tests.added import ADDED  # noqa: E402
from workbench.evaluation.metrics import METRICS, Metric  # noqa: E402

collect_ignore = ["plugin"]  # a package of its own; test_plugin.py runs its tests where it is installed


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Marks what is not slow as fast, and begins with the files of slow tests.

    A file's tests stay in one process (`--dist loadfile` in noxfile.py). A long file that comes last would leave the
    other processes without work.
    """
    slow = {_file(item) for item in items if item.get_closest_marker("slow")}
    for item in items:
        if item.get_closest_marker("slow") is None:
            item.add_marker("fast")
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
