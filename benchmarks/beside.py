"""What do two training jobs cost each other? Two processes of one thread, each on a core of its own.

Run:   workbench bench beside [--steps 8] [--rounds 30] [--anyway]

Both train the nano network of the laptop studies. Appends to reports/data/bench_beside.csv: the time of so many steps
of one job alone, and of both at once until the slower one is done, round by round. The column `others` counts the
jobs themselves.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import tempfile
from collections.abc import Sequence
from multiprocessing.connection import Connection
from pathlib import Path

import torch

from benchmarks._record import append, conditions
from benchmarks.train import Whole, cases
from workbench.inference.timing import Patience, measure
from workbench.training.machine import this_machine
from workbench.training.source import open_source

JOBS = 2


def main(options: Sequence[str] = ()) -> int:
    """Measures, prints and records."""
    parser = argparse.ArgumentParser(prog="workbench bench beside")
    parser.add_argument("--steps", type=int, default=8, help="of a job, per round")
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--anyway", action="store_true", help="measure on a busy machine, too")
    args = parser.parse_args(options)
    context = multiprocessing.get_context("spawn")
    pipes = [context.Pipe() for _ in range(JOBS)]
    with tempfile.TemporaryDirectory() as home:
        open_source(cases()[0].job, 0, Path(home))  # rendered once, for both
        ends = [mine for mine, _ in pipes]
        jobs = [
            context.Process(target=_train, args=(i, end, Path(home)), daemon=True) for i, (_, end) in enumerate(pipes)
        ]
        for job in jobs:
            job.start()
        _steps(ends, 1)  # they stand ready
        found = measure(
            {"alone": lambda: _steps(ends[:1], args.steps), "beside": lambda: _steps(ends, args.steps)},
            "alone",
            patience=Patience(seconds=3600, rounds=args.rounds, most=args.rounds),
            anyway=args.anyway,
            primed=False,
        )
        for end in ends:
            end.send(0)
        for job in jobs:
            job.join()
    ratio, batch = found.ratio("beside"), cases()[0].job.protocol.batch
    alone = args.steps * batch * 1e3 / found.milliseconds("alone").value
    print(f"{JOBS} jobs take {ratio.shown(3)} times as long as one, which trains {alone:.0f} images/s")
    line = {"network": cases()[0].name, "jobs": JOBS, "images_per_s_alone": f"{alone:.1f}"}
    line |= {name: f"{getattr(ratio, end):.4f}" for name, end in (("ratio", "value"), ("low", "low"), ("high", "high"))}
    line |= {"precision": "bf16" if this_machine().bf16 else "float32"}
    print(append("beside", [line | conditions(found)]))
    return 0


def _steps(ends: Sequence[Connection], count: int) -> None:
    for end in ends:
        end.send(count)
    for end in ends:
        end.recv()


def _train(number: int, orders: Connection, home: Path) -> None:
    """A job: makes as many steps as it is told to, says so, and ends when told 0."""
    torch.set_num_threads(1)
    if hasattr(os, "sched_setaffinity"):
        cores = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, {cores[number % len(cores)]})
    job = cases()[0].job
    source = open_source(job, 0, home)
    whole = Whole(job, source.train, source.steps, this_machine())
    while count := orders.recv():
        for _ in range(count):
            whole()
        orders.send(count)
