"""The worker pool: its workers begin, end, and can be asked to end."""

import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.experiments.fakes import FAKED, quick
from workbench.core.errors import Refused
from workbench.experiments import worker_pool
from workbench.experiments.worker_pool import WorkerPool, WorkerSettings, terminable
from workbench.training.machine import Machine

pytestmark = FAKED


def broken(_: WorkerSettings) -> None:
    """A worker that can not even begin."""
    raise SystemExit(1)


@pytest.mark.slow
def test_workers_that_can_not_begin_end_the_command(go: Callable[..., int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker_pool, "serve", broken)
    with pytest.raises(Refused, match="workers ended before they had done any work"):
        go(quick)
    assert not multiprocessing.active_children()


def test_there_are_no_more_workers_than_work_and_places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker that is at work on a job counts as one that work is there for."""
    monkeypatch.setattr(worker_pool, "serve", patient)
    with WorkerPool(WorkerSettings(tmp_path, "a/plan", Machine(), None, quick), size=2) as pool:
        numbers = []
        for queued in (0, 1, 1, 5):
            pool.start_workers(queued, [f"here {child.pid} 0.0" for child in multiprocessing.active_children()])
            numbers.append(len(multiprocessing.active_children()))
        (tmp_path / "over").touch()
    assert numbers == [0, 1, 2, 2] and not multiprocessing.active_children()


def patient(settings: WorkerSettings) -> None:
    """A worker that waits until it is told that all is over."""
    while not (settings.home / "over").exists():
        time.sleep(0.01)


def test_a_request_to_end_is_an_interrupt_and_only_as_long_as_is_asked() -> None:
    process = multiprocessing.get_context("fork").Process(target=asked_to_end)
    process.start()
    process.join()
    assert process.exitcode == 7


def asked_to_end() -> None:
    before = signal.getsignal(signal.SIGTERM)
    try:
        with terminable():
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(10)
    except KeyboardInterrupt:
        sys.exit(7 if signal.getsignal(signal.SIGTERM) == before else 8)


class _Finalised:
    def __del__(self) -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(0.2)  # the handler runs here, and Python drops what it raises


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_request_that_comes_in_a_finaliser_is_not_lost(tmp_path: Path) -> None:
    with terminable() as check:
        check()
        dropped = _Finalised()
        del dropped
        with pytest.raises(KeyboardInterrupt):
            WorkerPool(WorkerSettings(tmp_path, "a/plan", Machine(), None, quick), 1, check).rest(0)
