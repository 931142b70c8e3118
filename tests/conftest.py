"""One thread and a home of its own for every test; which tests are fast, which are left out, and which come first."""

import gc
import os
import shutil
import tempfile
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest

gc.disable()  # until all files are read, see pytest_collection

for _variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ[_variable] = "1"  # read when torch and numpy are imported, which comes later

# A store of runs waits for a disk at each of some hundred writes. Some tests run what they write.
_memory = Path("/dev/shm")
_usable = hasattr(os, "ST_NOEXEC") and _memory.is_dir() and not os.statvfs(_memory).f_flag & os.ST_NOEXEC
if "TMPDIR" not in os.environ and _usable and shutil.disk_usage(_memory).free > 8e9:
    os.environ["TMPDIR"] = str(_memory)  # and for each process that a test starts
    tempfile.tempdir = None  # asked anew

from tests.added import ADDED  # noqa: E402
from tests.soaked import MARK, asked_for, passed_over  # noqa: E402
from workbench.evaluation.metrics import METRICS, Metric  # noqa: E402

collect_ignore = ["plugin"]  # a package of its own; test_plugin.py runs its tests where it is installed


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """What was imported stays to the end: the search for garbage, a fifth of the time until here, leaves it out."""
    found = yield
    gc.freeze()
    gc.enable()
    return found


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Files without soak tests are not read where only these are wanted."""
    return True if passed_over(collection_path, config.option.markexpr) else None


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Marks what is neither slow nor a soak test as fast, leaves soak tests out unless they are asked for, and begins
    with the files of slow tests.

    A file's tests stay in one process (`--dist loadfile` in noxfile.py). A long file that comes last would leave the
    other processes without work.
    """
    long = {_file(item) for item in items if _is(item, "slow") or _is(item, MARK)}
    for item in items:
        if not (_is(item, "slow") or _is(item, MARK)):
            item.add_marker("fast")
    left = [item for item in items if _is(item, MARK) and not _asked(item, config)]
    config.hook.pytest_deselected(items=left)
    items[:] = sorted((item for item in items if item not in left), key=lambda item: _file(item) not in long)


def _asked(item: pytest.Item, config: pytest.Config) -> bool:
    return asked_for(item.path, config.option.markexpr, config.args, config.invocation_params.dir)


def _is(item: pytest.Item, mark: str) -> bool:
    return item.get_closest_marker(mark) is not None


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
