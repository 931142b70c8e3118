"""A machine that joins in: it takes jobs from the queue of a study or a search that another one has planned.

It needs neither their plan nor who made it. Jobs whose worker died, here or on a machine that is heard no more, are
queued again from here as well.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from workbench.core.processes import interruptible, shares, usable_cores
from workbench.experiments import console
from workbench.experiments.job_queue import JobQueue, has_queue
from workbench.experiments.stores import Store, outlasting, store_of
from workbench.experiments.worker_pool import TrainJob, WorkerPool, WorkerSettings
from workbench.training.machine import Machine, this_machine
from workbench.training.run import run as train_job

LOOK = 2.0  # seconds between two looks at the queue, if no worker ends before


def join(
    home: Path,
    queue: str,
    data: Path | None = None,
    *,
    jobs: int | None = None,
    cores: Sequence[int] = (),
    wait: bool = False,
    machine: Machine | None = None,
    train: TrainJob = train_job,
) -> int:
    """Works on a queue until nothing waits.

    Args:
        home, queue: the folder of runs, and the name of the queue in its store.
        data: the folder of the data set; None for the embedded scenes.
        jobs: at a time, in a process each; None is one per GPU, or one per core where there is none.
        cores: of which each worker gets its share; () leaves that to the system.
        wait: goes on when nothing waits.
        machine: all workers together; None is this one.
        train: what a worker does with a job.

    Returns:
        0 nothing waits, 130 interrupted.

    Raises:
        Refused: the store can not be used, or belongs to another folder of runs.
    """
    machine = machine or this_machine()
    gpus = gpu_names(machine)
    size = jobs or len(gpus) or usable_cores()
    settings = WorkerSettings(home, queue, replace(machine, ranks=1), data, train)
    store = store_of(home, settings.store)
    with interruptible() as check:
        try:
            if not _begun(store, queue, wait, check):
                console.say(f"{store.shown} has no jobs of {queue}; workbench study plans them, --wait waits for them")
                return 0
            console.say(f"workers for {queue} in {store.shown}, {size} at a time")
            with WorkerPool(settings, size, check, shares(cores, gpus, size)) as pool:
                _serve(settings.open_queue(), pool, wait)
        except KeyboardInterrupt:
            console.say("stopped; what was begun goes on from its last checkpoint, here or elsewhere")
            return 130
    console.say("nothing waits any more")
    return 0


def _serve(queue: JobQueue, pool: WorkerPool, wait: bool) -> None:
    """Starts workers until nothing waits; `wait`: and then, too."""
    while True:
        began = time.process_time()
        load = outlasting(queue.revive)
        if not (load.waiting or pool.at_work or wait):
            return
        pool.start_workers(load.waiting, load.owners)
        pool.rest(max(LOOK, 4 * (time.process_time() - began)))  # to look at thousands of jobs is work


def _begun(store: Store, queue: str, wait: bool, check: Callable[[], None]) -> bool:
    """Whether there is such a queue; `wait`: stays until there is."""
    while not (found := has_queue(store, queue)) and wait:
        check()
        time.sleep(LOOK)
    return found


def gpu_names(machine: Machine) -> list[str]:
    """The GPUs of a machine, as CUDA_VISIBLE_DEVICES names them."""
    if not machine.device.startswith("cuda"):
        return []
    given = [name for name in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if name]
    return given or [str(number) for number in range(machine.ranks)]
