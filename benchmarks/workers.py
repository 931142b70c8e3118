"""How much of N workers' time is left for training? Jobs that train nothing, from a queue, by 1, 2, 4 and 8 workers.

Run:   workbench bench workers [--store URL] [--jobs 20] [--seconds 1] [--workers 1,2,4,8]

Each worker is given so many jobs of so many seconds, in which it sleeps: what is measured is the queue, not the cores.
Efficiency is the time of these jobs over the time that the workers were there, from the first job taken to the last one
done: what is left goes into taking jobs and saying how they ended. A trivial job is one of a second; a training takes
minutes, so that it loses a hundredth of that.

Without --store a PostgreSQL server is started for it where one is installed, and the file is measured as well.
Appends to reports/data/bench_workers.csv.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from benchmarks._postgres import private_server, programs
from benchmarks._record import append
from workbench.core.errors import Refused
from workbench.core.processes import usable_cores
from workbench.core.provenance import commit, machine_name
from workbench.experiments.job_queue import JobQueue
from workbench.experiments.protocols import protocol_named
from workbench.experiments.queue_entry import JobState
from workbench.experiments.stores import check_address, masked, store_of
from workbench.experiments.worker_pool import WorkerPool, WorkerSettings, work_off
from workbench.models.job import Job
from workbench.models.zoo import nano
from workbench.study import Row, Study
from workbench.training.machine import Machine
from workbench.training.record import Progress, Result, job_folder, read_result, write_result

IDLE = Study(name="bench", question="", source="none", base=nano(), rows=(Row("base"),))


@dataclass(frozen=True)
class Spent:
    """What a number of workers took: seconds from the first job taken to the last one done, and of the jobs alone."""

    workers: int
    jobs: int
    wall: float
    slept: float

    @property
    def efficiency(self) -> float:
        return self.slept / (self.workers * self.wall)

    @property
    def overhead(self) -> float:
        """Seconds of a worker that go into each job beside it."""
        return (self.workers * self.wall - self.slept) / self.jobs


def main(options: Sequence[str] = ()) -> int:
    """Measures, prints and records."""
    parser = argparse.ArgumentParser(prog="workbench bench workers")
    parser.add_argument("--store", default="", help="the address of an empty database")
    parser.add_argument("--jobs", type=int, default=20, help="for each worker")
    parser.add_argument("--seconds", type=float, default=1.0, help="of a job")
    parser.add_argument("--workers", default="1,2,4,8", help="numbers of them, with commas")
    args = parser.parse_args(options)
    numbers = [int(number) for number in args.workers.split(",")]
    lines: list[dict[str, object]] = []
    with ExitStack() as stack:
        for name, address in stores_to_measure(args.store, stack).items():
            for number in numbers:
                spent = measured(address(number), number, args.jobs * number, args.seconds)
                print(
                    f"{name:10} {number} workers, {spent.jobs} jobs of {args.seconds:g} s: {spent.wall:.1f} s, "
                    f"efficiency {spent.efficiency:.2f}, {1e3 * spent.overhead:.0f} ms beside each job",
                    flush=True,
                )
                lines.append({"store": name, **_line(spent, args.seconds)})
    print(append("workers", lines))
    return 0


def stores_to_measure(given: str, stack: ExitStack) -> dict[str, Callable[[int], str]]:
    """By name, what gives the address of an empty store for each measurement; "" is a file."""
    if given:
        check_address(given)
        return {masked(given): lambda number: given}
    found: dict[str, Callable[[int], str]] = {"file": lambda number: ""}
    if programs() is not None:
        server = stack.enter_context(private_server())
        found["PostgreSQL"] = lambda number: server.database(f"workers{number}")
    return found


def measured(address: str, workers: int, jobs: int, seconds: float) -> Spent:
    """Does so many jobs with so many workers, in a folder and a plan of their own."""
    planned = IDLE.planned_jobs(protocol_named("smoke"), jobs)
    plan = {one.job.key: one for one in planned}
    with tempfile.TemporaryDirectory() as folder:
        home, name = Path(folder), f"bench/{os.getpid()}/{workers}"
        settings = WorkerSettings(home, name, Machine(), None, partial(sleep, seconds), address)
        queue = JobQueue(home, name, store_of(home, address))
        with WorkerPool(settings, workers) as pool:
            entries = work_off(queue, plan, pool)
        lost = [key for key, entry in entries.items() if entry.state is not JobState.COMPLETE]
        if lost:
            raise Refused(f"{len(lost)} jobs failed: {entries[lost[0]].note}")
        times = [float(line) for path in home.glob("jobs/*/times") for line in path.read_text().split()]
    return Spent(workers, jobs, max(times) - min(times), jobs * seconds)


def sleep(
    seconds: float,
    job: Job,
    machine: Machine,
    home: Path,
    data: Path | None,
    tell: Callable[[Progress], None],
    until: int,
) -> Result:
    """A job that trains nothing. Keeps when it began and when it ended."""
    folder = job_folder(home, job.key)
    began = time.time()
    tell(Progress(1, 1, 0.5, 100.0, seconds, {}, {}))
    time.sleep(seconds)
    (folder / "times").write_text(f"{began} {time.time()}")
    write_result(folder, job.key, {"AP": 0.0}, {})
    return read_result(folder)


def _line(spent: Spent, seconds: float) -> dict[str, object]:
    return {
        "workers": spent.workers,
        "jobs": spent.jobs,
        "job_s": f"{seconds:g}",
        "wall_s": f"{spent.wall:.2f}",
        "efficiency": f"{spent.efficiency:.3f}",
        "ms_beside": f"{1e3 * spent.overhead:.0f}",
        "cores": usable_cores(),
        "machine": machine_name(),
        "commit": commit(),
        "date": datetime.now(UTC).isoformat(timespec="minutes"),
    }
