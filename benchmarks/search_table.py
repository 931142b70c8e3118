"""A table of candidates that were really trained to the rung, for `bench search --table FILE`.

Run:   workbench bench search_table [--candidates 240] [--part 0.2] [--jobs 2]

Candidates of `studies/search_rtmo.py` in an order drawn once, each with seed 0 under `short`, until `part` of its
epochs is done: about an hour and a half of two cores for 240. A line is added as each one gets there, and the same
command goes on below what stands there, on another machine, too. The table says how networks *begin*: a search of it is
a search for what is best after a fifth of a training, with real costs and real noise.

Appends to reports/data/bench_search_table.csv: a column per factor, gflops of the published size, minutes of one core,
AP at the rung, and beside it mOKS and the losses that all candidates have.
"""

from __future__ import annotations

import argparse
import csv
import os
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from datetime import UTC, datetime
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import torch

from benchmarks import _record
from studies.search_rtmo import STUDY as SEARCH
from workbench.cli.options import runs_folder
from workbench.core.errors import Refused
from workbench.core.files import locked_folder
from workbench.core.provenance import commit, machine_name
from workbench.experiments.protocols import protocol_named
from workbench.experiments.search.pricing import Twins, counted
from workbench.models.job import Job
from workbench.space import Candidate, Search
from workbench.training.machine import this_machine
from workbench.training.record import job_folder, read_curve, train_minutes
from workbench.training.run import run
from workbench.training.rung import rung_epoch, signals_at

NAME = "search_table"
KEPT = ("mOKS", "loss_oks", "loss_proxy_l1")
Line = dict[str, object]


def main(options: Sequence[str] = (), search: Search = SEARCH) -> int:
    """Trains what is not in the table. Gives 0 where it is whole."""
    parser = argparse.ArgumentParser(prog=f"workbench bench {NAME}")
    parser.add_argument("--protocol", default="short", help="as of a study")
    parser.add_argument("--candidates", type=int, default=240)
    parser.add_argument("--part", type=float, default=0.2, help="of the epochs")
    parser.add_argument("--jobs", type=int, default=2, help="worker processes, one thread each")
    args = parser.parse_args(options)
    protocol = protocol_named(args.protocol)
    jobs = {one: search.planned(one, protocol).job for one in drawn(search, args.candidates)}
    there = keys_there()
    missing = {one: job for one, job in jobs.items() if job.key not in there}
    prices = counted({one.text: search.variant(one) for one in missing})
    with ProcessPoolExecutor(args.jobs, mp_context=get_context("spawn")) as pool:
        work = {pool.submit(partial(begun, job, runs_folder(), args.part)): one for one, job in missing.items()}
        for count, done in enumerate(as_completed(work), len(jobs) - len(missing) + 1):
            one, found = work[done], done.result()
            _record.append(NAME, [line(search, one, jobs[one].key, prices[one.text].gflops, found)])
            print(f"{count} of {len(jobs)}: {one.text}, AP {100 * found['AP']:.2f}", flush=True)
    return 0


def drawn(search: Search, count: int) -> list[Candidate]:
    """The first `count` candidates of an order drawn once, those within the limits of the search that differ.

    Raises:
        Refused: there are not so many.
    """
    every = search.space.candidates
    order = [every[i] for i in np.random.default_rng(0).permutation(len(every))]
    prices = counted({one.text: search.variant(one) for one in order}, search.limits)
    twins, protocol, found = Twins(), protocol_named(search.default), list[Candidate]()
    for one in order:
        if prices[one.text].admitted and not twins.earlier(one.text, search.planned(one, protocol).job):
            found.append(one)
        if len(found) == count:
            return found
    raise Refused(f"{len(found)} candidates can be trained, {count} are asked for: ask for fewer")


def keys_there() -> set[str]:
    """Of the candidates that stand in the table."""
    path = _record.FOLDER / f"bench_{NAME}.csv"
    if not path.exists():
        return set()
    with path.open(newline="", encoding="utf-8") as file:
        return {line["key"] for line in csv.DictReader(file)}


def begun(job: Job, home: Path, part: float) -> dict[str, float]:
    """Trains a job until the rung, on one thread. What is known of it there, and the `minutes` of its core.

    They are the processor's, which other work beside it lengthens little; of a job that a search or an earlier command
    has brought there, those of its curve.
    """
    torch.set_num_threads(1)
    os.nice(5)  # whoever sits at the machine comes first
    folder, epoch = job_folder(home, job.key), rung_epoch(job.protocol, part)
    started, known = time.process_time(), signals_at(folder, epoch)
    with locked_folder(folder):
        run(job, this_machine().shared(1), home, until=epoch)
    minutes = (time.process_time() - started) / 60
    if known:
        curve = [line for line in read_curve(folder) if line["epoch"] <= epoch]
        minutes = train_minutes(curve, job.protocol.epoch_images)
    return {**signals_at(folder, epoch), "minutes": minutes}


def line(search: Search, one: Candidate, key: str, gflops: float, found: dict[str, float]) -> Line:
    """As it stands in the table."""
    chosen = dict(one.pairs)
    return {
        **{str(factor.name): chosen.get(factor.name, "") for factor in search.factors},
        "gflops": f"{gflops:.4f}",
        "minutes": f"{found['minutes']:.3f}",
        "AP_0": f"{found['AP']:.6f}",
        **{f"{name}_0": f"{found[name]:.5f}" for name in KEPT},
        "key": key,
        "machine": machine_name(),
        "commit": commit(),
        "date": datetime.now(UTC).isoformat(timespec="minutes"),
    }
