"""Machines that work on one queue while their processes are killed, and what must not happen meanwhile.

A machine is a process of its own with another name of its host, so that it and the others can not see each other's
processes. Its workers are forks of it.
"""

from __future__ import annotations

import fcntl
import multiprocessing
import os
import random
import signal
import socket
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import psutil

from workbench.experiments.job_queue import JobQueue
from workbench.experiments.joined import join
from workbench.experiments.queue_entry import JobState
from workbench.experiments.worker_pool import TrainJob
from workbench.models.job import Job
from workbench.study import PlannedJob
from workbench.training.machine import Machine
from workbench.training.record import Progress, Result, is_complete, job_folder, read_result, write_result

SECONDS = 0.05  # of a trivial job


@dataclass(frozen=True)
class Run:
    """What a machine is told of a run."""

    home: Path
    name: str
    data: Path | None = None


def trivial(
    job: Job, machine: Machine, home: Path, data: Path | None, tell: Callable[[Progress], None], until: int
) -> Result:
    """A job of a moment. A file `twice` says of it what must not be: in two hands at a time, or done a second time."""
    folder = job_folder(home, job.key)
    with (folder / "hand").open("w") as hand:
        try:
            fcntl.flock(hand, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            (folder / "twice").write_text("in two hands")
        if is_complete(folder):
            return read_result(folder)
        tell(Progress(1, 1, 0.5, 100.0, 1.0, {}, {}))
        time.sleep(SECONDS)
        if is_complete(folder):
            (folder / "twice").write_text("done twice")
        write_result(folder, job.key, {"AP": 0.2}, {})
        return read_result(folder)


def machine(host: str, run: Run, workers: int, wait: bool = True, train: TrainJob = trivial) -> Any:
    """A machine at work, as a process."""
    process = multiprocessing.get_context("fork").Process(target=_machine, args=(host, run, workers, wait, train))
    process.start()
    return process


def _machine(host: str, run: Run, workers: int, wait: bool, train: TrainJob) -> None:
    socket.gethostname = lambda: host
    raise SystemExit(join(run.home, run.name, run.data, jobs=workers, wait=wait, machine=Machine(), train=train))


@dataclass
class Storm:
    """Kills a worker, or now and then a whole command, which is started again at once.

    Fields:
        workers: of each of two machines; every: seconds from one kill to the next; most: kills.
        apart: each machine has a folder of runs of its own.
    """

    run: Run
    workers: int
    every: float
    most: int = 1_000_000
    apart: bool = False
    chance: random.Random = field(default_factory=lambda: random.Random(0))
    kills: int = 0
    commands: dict[str, Any] = field(default_factory=dict)
    _next: float = 0.0

    def __enter__(self) -> Storm:
        for host in ("one", "two"):
            self.commands[host] = self._machine(host)
        self._next = time.monotonic() + self.every
        return self

    def __exit__(self, *_: object) -> None:
        for command in self.commands.values():
            command.terminate()
        for command in self.commands.values():
            command.join(60)
            command.kill()

    def strike(self) -> None:
        """Kills one, if it is time and one is there."""
        if time.monotonic() < self._next or self.kills == self.most:
            return
        host = self.chance.choice(sorted(self.commands))
        command = self.commands[host]
        workers = [child.pid for child in psutil.Process(command.pid).children()]
        if not workers:
            return
        self._next += self.every  # one that comes late does not put off the others
        victim = command.pid if self.chance.random() < 0.1 else self.chance.choice(workers)
        with suppress(ProcessLookupError):
            os.kill(victim, signal.SIGKILL)
            self.kills += 1
        if victim == command.pid:
            command.join()
            self.commands[host] = self._machine(host)

    def _machine(self, host: str) -> Any:
        run = self.run
        if self.apart:
            run = replace(run, home=run.home / host)
            run.home.mkdir(exist_ok=True)
        return machine(host, run, self.workers)


def weather(storm: Storm, plan: Mapping[str, PlannedJob]) -> JobQueue:
    """All jobs of a plan, done by the machines of a storm; the queue as it then is.

    The command that planned them does none itself.
    """
    queue, began = JobQueue(storm.run.home, storm.run.name), time.monotonic()
    with storm:
        while left := _left(queue, plan):
            passed = time.monotonic() - began
            print(f"{passed:.0f} s: {left} of {len(plan)} jobs are left, {storm.kills} kills", flush=True)
            end = time.monotonic() + (1 if len(plan) < 100 else 5)
            while time.monotonic() < end:
                storm.strike()
                time.sleep(0.05)
        end = time.monotonic() + 60  # then the sky clears: who was killed behind its result is not heard of for a while
        while any(not trial.state.is_finished() for trial in queue.attempts()) and time.monotonic() < end:
            queue.fill(plan)
            time.sleep(0.2)
    return queue


def _left(queue: JobQueue, plan: Mapping[str, PlannedJob]) -> int:
    return sum(entry.state is not JobState.COMPLETE for entry in queue.fill(plan).values())


def once_each(queue: JobQueue, plan: Mapping[str, PlannedJob]) -> None:
    """Every job has a result and one complete trial, and none was in two hands."""
    assert not list(queue.home.glob("jobs/*/twice"))
    assert all(is_complete(job_folder(queue.home, key)) for key in plan)
    complete = [t.user_attrs["key"] for t in queue.attempts() if t.state.name == "COMPLETE"]
    assert sorted(complete) == sorted(plan)
    assert all(trial.state.is_finished() for trial in queue.attempts())
