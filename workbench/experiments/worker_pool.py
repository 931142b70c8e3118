"""The worker pool: processes that take jobs from the queue, one thread each, and how they end."""

from __future__ import annotations

import logging
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from multiprocessing.connection import wait
from pathlib import Path
from types import FrameType
from typing import Any

from workbench.core import processes
from workbench.core.errors import Refused
from workbench.experiments.job_queue import LIMIT, JobQueue, JobState, QueueEntry
from workbench.models.job import Job
from workbench.study import PlannedJob
from workbench.training.machine import Machine
from workbench.training.record import Progress, Result
from workbench.training.rung import Paused

POLL = 0.3  # seconds between two reads of the queue

# As `training.run.run`: the last argument is the epoch after which the job pauses, 0 for none.
TrainJob = Callable[[Job, Machine, Path, Path | None, Callable[[Progress], None], int], Result | Paused]


@dataclass(frozen=True)
class WorkerSettings:
    """All that a worker is told: where its queue is, and how to do a job that it takes from there.

    Fields:
        home, queue: the address of the queue, its folder and its name.
        data: the folder of the data set; None for the embedded scenes.
    """

    home: Path
    queue: str
    machine: Machine
    data: Path | None
    train: TrainJob

    def train_job(self, job: Job, tell: Callable[[Progress], None], until: int) -> Result | Paused:
        return self.train(job, self.machine, self.home, self.data, tell, until)


class WorkerPool:
    """Worker processes, each with one thread and its share of the machine."""

    def __init__(self, settings: WorkerSettings, size: int, check: Callable[[], None] = lambda: None) -> None:
        self._settings = replace(settings, machine=settings.machine.shared(size))
        self._size, self._check = size, check  # `check` is of `terminable`
        processes.prepare()
        self._workers: list[Any] = []
        self._faults = 0  # workers that ended by an error of their own, not of a job

    def __enter__(self) -> WorkerPool:
        return self

    def __exit__(self, error: object, *_: object) -> None:
        for worker in self._workers:
            if error is not None:
                worker.terminate()
        for worker in self._workers:
            worker.join(10)
            worker.kill()
            worker.join()

    def start_workers(self, queued: int, owners: Sequence[str]) -> None:
        """Starts as many workers as there is work for, up to the size of the pool."""
        self._faults += sum(worker.exitcode == 1 for worker in self._workers)
        if self._faults >= LIMIT:
            raise Refused(
                f"{self._faults} workers ended before they had done any work; their errors stand above. Put that right "
                "(often a package or memory that is missing) and run the same command "
                "again: what is complete is kept"
            )
        self._workers = [worker for worker in self._workers if worker.is_alive()]
        busy = sum(_pid(owner) in {worker.pid for worker in self._workers} for owner in owners)
        while len(self._workers) < min(self._size, queued + busy):
            worker = processes.context().Process(target=serve, args=(self._settings,), name="worker")
            worker.start()
            self._workers.append(worker)

    def rest(self, seconds: float) -> None:
        """Waits until a worker ends, at most so long."""
        self._check()
        if not wait([worker.sentinel for worker in self._workers], seconds):
            return
        time.sleep(seconds / 10)  # its server has to notice too


def work_off(
    queue: JobQueue,
    plan: Mapping[str, PlannedJob],
    pool: WorkerPool,
    look: Callable[[Mapping[str, QueueEntry]], bool] = lambda entries: False,
) -> dict[str, QueueEntry]:
    """Fills the queue with the jobs of a plan and starts workers, until nothing waits or runs.

    Args:
        plan: by key.
        look: is given where each job stands; says whether it wants to look again at once.

    Returns:
        where each job stands at the end.
    """
    while True:
        entries = queue.fill(plan)
        running = [entry for entry in entries.values() if entry.state is JobState.RUNNING]
        pool.start_workers(sum(entry.queued for entry in entries.values()), [entry.owner for entry in running])
        if look(entries):
            continue
        if not running and not any(entry.queued for entry in entries.values()):
            return entries
        pool.rest(POLL)


def _pid(owner: str) -> int:
    return int(owner.rsplit(" ", 2)[1]) if owner else -1


def _interrupt_once(_: int, __: FrameType | None) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # the first one is being answered
    raise KeyboardInterrupt


@contextmanager
def terminable() -> Iterator[Callable[[], None]]:
    """A request to end is an interrupt, so that what is open is closed.

    Python drops an interrupt that comes while it runs a finaliser. What this gives raises it again; call it in loops.
    """
    asked = threading.Event()

    def interrupt(_: int, __: FrameType | None) -> None:
        asked.set()
        raise KeyboardInterrupt

    def check() -> None:
        if asked.is_set():
            raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():
        yield check
        return
    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield check
    finally:
        signal.signal(signal.SIGTERM, before)


def serve(settings: WorkerSettings) -> None:
    """A worker: jobs from the queue until none waits. Ctrl-C reaches it through its parent only."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _interrupt_once)
    processes.end_with_parent()
    logging.captureWarnings(True)
    try:
        JobQueue(settings.home, settings.queue).work(settings.train_job)
    except KeyboardInterrupt:
        os._exit(130)  # at once: a heartbeat that was not told to stop would hold the process for a minute
