"""The worker pool: processes that take jobs from the queue, one thread each, and how they end."""

from __future__ import annotations

import logging
import os
import signal
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from multiprocessing.connection import wait
from pathlib import Path
from types import FrameType
from typing import Any, Protocol

from workbench.core import processes
from workbench.core.errors import Refused
from workbench.core.faults import machine_fault
from workbench.core.processes import Share
from workbench.experiments.job_files import files_of
from workbench.experiments.job_queue import JobQueue
from workbench.experiments.object_store import given_files
from workbench.experiments.owners import local_pid
from workbench.experiments.queue_entry import LIMIT, JobState, QueueEntry
from workbench.experiments.stores import given_store, outlasting, store_of, went_away
from workbench.models.job import Job
from workbench.study import PlannedJob
from workbench.training.machine import Machine
from workbench.training.record import Progress, Result
from workbench.training.rung import Paused

ENDING = 4.0  # seconds that all workers together have to end in: what they lose is an epoch that was not complete
LEFT = 75  # exit code of a worker whose database went away: no fault of its own
POLL, LONGEST = 0.3, 5.0  # seconds between two reads of the queue: as a rule, and where reading is work

# As `training.run.run`: the last argument is the epoch after which the job pauses, 0 for none.
TrainJob = Callable[[Job, Machine, Path, Path | None, Callable[[Progress], None], int], Result | Paused]


@dataclass(frozen=True)
class WorkerSettings:
    """All that a worker is told: where its queue is, and how to do a job that it takes from there.

    Fields:
        home, queue: the folder of runs, and the name of the queue in its store.
        data: the folder of the data set; None for the embedded scenes.
        store, files: the addresses of the store and of the common files, as the user gave them.
        share: what it has of the machine.
    """

    home: Path
    queue: str
    machine: Machine
    data: Path | None
    train: TrainJob
    store: str = field(default_factory=given_store, repr=False)
    files: str = field(default_factory=given_files)
    share: Share = Share()

    def open_queue(self, begun: bool = False) -> JobQueue:
        """`begun`: as of `JobQueue`."""
        store, files = store_of(self.home, self.store), files_of(self.home, self.files)
        return outlasting(lambda: JobQueue(self.home, self.queue, store, files, begun=begun))

    def train_job(self, job: Job, tell: Callable[[Progress], None], until: int) -> Result | Paused:
        return self.train(job, self.machine, self.home, self.data, tell, until)


class Workers(Protocol):
    """Workers that take jobs from a queue, wherever they are. Leave it with `with`: then they end."""

    @property
    def size(self) -> int:
        """Jobs at a time."""
        ...

    @property
    def at_work(self) -> bool:
        """Whether a worker is there; one that has just begun may not have taken a job yet."""
        ...

    def start_workers(self, queued: int, owners: Sequence[str]) -> None:
        """Starts as many workers as there is work for and places are.

        Args:
            queued: jobs that wait; owners: of those that run, whosoever.

        Raises:
            Refused: workers end before they have done any work.
        """
        ...

    def rest(self, seconds: float) -> None:
        """Waits until a worker ends, at most so long."""
        ...

    def __enter__(self) -> Workers: ...

    def __exit__(self, error: object, *_: object) -> None: ...


class WorkerPool:
    """Worker processes, each with one thread and its share of the machine."""

    def __init__(
        self,
        settings: WorkerSettings,
        size: int,
        check: Callable[[], None] = lambda: None,
        shares: Sequence[Share] = (),
    ) -> None:
        """A pool of no worker leaves all jobs to other machines.

        Args:
            check: is of `interruptible`.
            shares: one for each worker; () leaves it to the system who runs where.
        """
        self._settings = replace(settings, machine=settings.machine.shared(max(size, 1)))
        self._places: list[Any] = [None] * size  # the worker of each share
        self._shares, self._check = shares or [Share()] * size, check
        processes.prepare()
        self._faults = 0  # workers that ended by an error of their own, not of a job

    @property
    def size(self) -> int:
        return len(self._places)

    @property
    def _workers(self) -> list[Any]:
        return [worker for worker in self._places if worker is not None]

    @property
    def at_work(self) -> bool:
        """Whether a worker is there; one that has just begun may not have taken a job yet."""
        return any(worker.is_alive() for worker in self._workers)

    def __enter__(self) -> WorkerPool:
        return self

    def __exit__(self, error: object, *_: object) -> None:
        for worker in self._workers:
            if error is not None:
                worker.terminate()
        end = time.monotonic() + ENDING
        for worker in self._workers:
            worker.join(max(end - time.monotonic(), 0))
        for worker in self._workers:
            worker.kill()  # one that was stopped hears nothing else
            worker.join()

    def start_workers(self, queued: int, owners: Sequence[str]) -> None:
        """Starts as many workers as there is work for, up to the size of the pool."""
        self._faults += sum(worker.exitcode == 1 for worker in self._workers)
        check_faults(self._faults)
        self._places = [worker if worker is not None and worker.is_alive() else None for worker in self._places]
        here = {worker.pid for worker in self._workers}
        busy = sum(bool(owner) and local_pid(owner) in here for owner in owners)
        while len(self._workers) < min(len(self._places), queued + busy):
            place = self._places.index(None)
            settings = replace(self._settings, share=self._shares[place])
            self._places[place] = processes.context().Process(target=serve, args=(settings,), name="worker")
            self._places[place].start()

    def rest(self, seconds: float) -> None:
        """Waits until a worker ends, at most so long."""
        self._check()
        if not wait([worker.sentinel for worker in self._workers], seconds):
            return
        time.sleep(seconds / 10)  # its server has to notice too


def check_faults(faults: int) -> None:
    """Refuses to go on when so many workers have ended by errors of their own, not of a job."""
    if faults >= LIMIT:
        raise Refused(
            f"{faults} workers ended before they had done any work; their errors stand above. Put that right (often a "
            "package or memory that is missing) and run the same command again: what is complete is kept"
        )


def work_off(
    queue: JobQueue,
    plan: Mapping[str, PlannedJob],
    pool: Workers,
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
        began = time.process_time()
        entries = outlasting(partial(queue.fill, plan))
        running = [entry for entry in entries.values() if entry.state is JobState.RUNNING]
        pool.start_workers(sum(entry.queued for entry in entries.values()), [entry.owner for entry in running])
        if look(entries):
            continue
        if not running and not any(entry.queued for entry in entries.values()):
            return entries
        worked = time.process_time() - began  # a look at thousands of jobs is work
        pool.rest(min(max(POLL, 4 * worked), LONGEST))


def _interrupt_once(_: int, __: FrameType | None) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # the first one is being answered
    raise KeyboardInterrupt


def serve(settings: WorkerSettings) -> None:
    """A worker: jobs from the queue until none waits. Ctrl-C reaches it through its parent only."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _interrupt_once)
    processes.end_with_parent()
    logging.captureWarnings(True)
    settings.share.take()
    try:
        settings.open_queue(begun=True).work(settings.train_job)
    except (Exception, KeyboardInterrupt) as error:
        if went_away(error):
            os._exit(LEFT)  # what it had in hand is taken over, and a new one starts when the server is back
        if not isinstance(error, KeyboardInterrupt) and signal.getsignal(signal.SIGTERM) is not signal.SIG_IGN:
            said = str(error) if isinstance(error, Refused) else machine_fault(error)
            if said is None:
                raise
            print(f"worker: {said}", file=sys.stderr, flush=True)
            sys.exit(1)
        # of an interrupt a driver may make another error
        os._exit(130)  # at once: a heartbeat that was not told to stop would hold the process for a minute
