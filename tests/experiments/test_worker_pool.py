"""The worker pool: its workers begin, end, and can be asked to end."""

import multiprocessing
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.experiments.fakes import FAKED, quick
from workbench.core.errors import Refused
from workbench.core.processes import Share, interruptible
from workbench.experiments import worker_pool
from workbench.experiments.owners import this_host
from workbench.experiments.worker_pool import WorkerPool, WorkerSettings
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
            pool.start_workers(
                queued, [f"{this_host()} {child.pid} 0.0" for child in multiprocessing.active_children()]
            )
            numbers.append(len(multiprocessing.active_children()))
        (tmp_path / "over").touch()
    assert numbers == [0, 1, 2, 2] and not multiprocessing.active_children()


def patient(settings: WorkerSettings) -> None:
    """A worker that waits until it is told that all is over."""
    while not (settings.home / "over").exists():
        time.sleep(0.01)


def test_each_worker_has_its_share_and_the_next_one_takes_that_of_a_dead_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker_pool, "serve", placed)
    shares = [Share(gpu="0"), Share(gpu="1")]
    with WorkerPool(WorkerSettings(tmp_path, "a/plan", Machine(), None, quick), 2, shares=shares) as pool:
        pool.start_workers(2, [])
        while len(list(tmp_path.glob("gpu*"))) < 2:
            time.sleep(0.01)
        os.kill(int((tmp_path / "gpu1").read_text()), signal.SIGKILL)
        pool.rest(10)
        (tmp_path / "gpu1").unlink()
        pool.start_workers(2, [])
        while not (tmp_path / "gpu1").exists():
            time.sleep(0.01)
        assert pool.at_work
        (tmp_path / "over").touch()


def placed(settings: WorkerSettings) -> None:
    part = settings.home / "part"
    part.write_text(str(os.getpid()))
    part.rename(settings.home / f"gpu{settings.share.gpu}")
    patient(settings)


def test_a_pool_of_nobody_leaves_the_work_to_others(tmp_path: Path) -> None:
    with WorkerPool(WorkerSettings(tmp_path, "a/plan", Machine(), None, quick), size=0) as pool:
        pool.start_workers(5, [])
        pool.rest(0.01)
        assert not pool.at_work and not multiprocessing.active_children()


class _Finalised:
    def __del__(self) -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(0.2)  # the handler runs here, and Python drops what it raises


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_request_that_comes_in_a_finaliser_is_not_lost(tmp_path: Path) -> None:
    with interruptible() as check:
        check()
        dropped = _Finalised()
        del dropped
        with pytest.raises(KeyboardInterrupt):
            WorkerPool(WorkerSettings(tmp_path, "a/plan", Machine(), None, quick), 1, check).rest(0)
