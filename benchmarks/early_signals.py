"""Which early signal of a training tells how *another* training of the same network ends?

Run:   workbench bench early_signals [--protocol short] [--candidates 40] [--seeds 2] [--jobs N]
       workbench bench early_signals --so-far        of the candidates that are through by now, without any training
       workbench bench early_signals --recorded      of the networks whose curves are committed, without any training

Random candidates are trained with as many seeds each, under `short` in about five hours of two cores, much of that for
the eighth with CSP m. The same command goes on where it was stopped, and takes over what other studies have trained.
Then, for each signal and for each part of the training, Kendall's tau between that signal of one seed and the final AP
of another one, over candidates: a search wants to know of an architecture, not of the luck of a run. Its interval of
95 % is over candidates, drawn again with replacement.

Recorded networks are no random sample: they are what studies asked about and what searches chose. One that two studies
have in common counts once. Losses are known of epochs that were evaluated, so not their means since the start.

Appends to reports/data/bench_early_signals.csv. The default signal of a search is the one whose interval at the first
part has the highest lower end; where that is below `FLOOR`, rungs are off. A loss is a signal only where all candidates
have the term, and it is chosen only where every option of the search trains it from the first step on, under this
protocol and at published size: MLE is none of regression, L1 of the proxy is trained in small protocols alone.
"""

from __future__ import annotations

import argparse
import csv
import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from itertools import islice, permutations
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import _record
from studies.ablate_neck import pafpn
from studies.compare_backbones import csp, other
from workbench.cli.options import runs_folder
from workbench.components.backbones.stdc import STDC
from workbench.components.backbones.timm_backbone import TimmBackbone
from workbench.core.errors import Refused
from workbench.core.processes import interruptible
from workbench.core.provenance import commit, machine_name
from workbench.experiments import console
from workbench.experiments.job_claim import read_progress
from workbench.experiments.job_queue import JobQueue
from workbench.experiments.protocols import protocol_named
from workbench.experiments.queue_entry import JobState, QueueEntry
from workbench.experiments.queued_job import check_queueable
from workbench.experiments.search.pricing import Twins
from workbench.experiments.worker_pool import TrainJob, WorkerPool, WorkerSettings, work_off
from workbench.models.variant import Variant
from workbench.models.zoo import REGRESSION, rtmo
from workbench.row import changed_variant
from workbench.study import Changes, PlannedJob, Row, Study, StudyProtocol, changes_made
from workbench.tensors import Floats
from workbench.training.machine import Machine, this_machine
from workbench.training.record import is_complete, job_folder
from workbench.training.run import run as train_job
from workbench.training.rung import SINCE_START, rung_epoch, signals, signals_at

NAME = "early_signals"
PARTS = (0.2, 0.4, 1.0)
METRICS = ("AP", "AR50", "mOKS")
FLOOR = 0.25
RESAMPLES = 2000
DRAWS = 20
RANDOM, RECORDED = "random", "recorded"  # where candidates are from

# Options of a candidate, one of each line; later ones are made on top of earlier ones.
OPTIONS: Sequence[Mapping[str, Changes]] = (
    {
        **{f"csp {size}": partial(csp, size) for size in "tsm"},
        "stdc": partial(other, STDC(size="1"), STDC(size="nano")),
        **{name: {"backbone": TimmBackbone(name=name)} for name in ("mobilenetv4_conv_small", "ghostnetv2_100")},
    },
    {**{f"{n} layers": {"neck.transformer_encoder_layers": n} for n in (0, 1, 2)}, "pafpn": pafpn},
    {f"depth {depth:g}": {"neck.depth": depth} for depth in (0.0, 0.33)},
    {"P4 P5": {}, "P3 P4 P5": {"neck.strides": (8, 16, 32)}},
    {**{f"{n} bins": {"coords.num_bins": (n, n + n // 3)} for n in (48, 96, 192)}, "regression": REGRESSION},
)

Candidates = Callable[[np.random.Generator], Iterator[tuple[str, Changes]]]


def random_candidates(rng: np.random.Generator) -> Iterator[tuple[str, Changes]]:
    """Labels and changes without end, each as likely as any other."""
    while True:
        labels = [list(options)[rng.integers(len(options))] for options in OPTIONS]
        chosen = [options[label] for options, label in zip(OPTIONS, labels, strict=True)]
        yield ", ".join(labels), partial(_all, chosen)


def _all(changes: Iterable[Changes], base: Variant) -> Mapping[str, Any]:
    return {path: value for one in changes for path, value in changes_made(base, one).items()}


def main(options: Sequence[str] = (), candidates: Candidates = random_candidates) -> int:
    """Returns 0 where the table was written, 1 where trainings are missing.

    Args:
        candidates: gives labels and changes of the base, again and again; what computes the same is passed over.
    """
    parser = argparse.ArgumentParser(prog="workbench bench early_signals")
    parser.add_argument("--protocol", default="short", help="as of a study")
    parser.add_argument("--candidates", type=int, default=40)
    parser.add_argument("--seeds", type=int, default=2, help="of each candidate")
    parser.add_argument("--jobs", type=int, default=2, help="worker processes, one thread each")
    some = parser.add_mutually_exclusive_group()
    some.add_argument("--so-far", action="store_true", help="of those that are through by now; nothing is trained")
    some.add_argument("--recorded", action="store_true", help="of the committed curves; nothing is trained")
    args = parser.parse_args(options)
    protocol = protocol_named(args.protocol)
    if args.recorded:
        return told(agreeing(recorded(protocol, args.seeds)), protocol, args.seeds, RECORDED)
    home = runs_folder()
    planned = plan(protocol, args.candidates, args.seeds, candidates)
    if args.so_far:
        through = whole(planned, home)
        source = f"{RANDOM}, {len(through) // args.seeds} of {args.candidates}"  # the dear ones may be missing
        return told(agreements(through, home), protocol, args.seeds, source)
    entries = trained(planned, home, this_machine(), args.jobs)
    done = sum(entry.state is JobState.COMPLETE for entry in entries.values())
    print(f"{done} of {len(entries)} trainings complete" + "; the same command goes on" * (done < len(entries)))
    if done < len(entries):
        return 1
    return told(agreements(planned, home), protocol, args.seeds, RANDOM)


def told(found: Sequence[Agreement], protocol: StudyProtocol, seeds: int, source: str) -> int:
    """Adds to the table and prints what was found. Gives 0."""
    print(_record.append(NAME, [line(one, protocol.name, seeds, source) for one in found]))
    for one in found:
        print(f"{one.part:4.0%} {one.signal:24} tau {one.tau:.2f} ({one.low:.2f} to {one.high:.2f}), {one.count}")
    signal = chosen([one for one in found if one.signal.removeprefix(SINCE_START) in {*METRICS, *in_all(protocol)}])
    print(f"signal for rungs, by candidates {source}: {signal or f'none reaches {FLOOR}: rungs are off'}")
    return 0


# Trainings


def plan(
    protocol: StudyProtocol, count: int, seeds: int, candidates: Candidates = random_candidates
) -> list[PlannedJob]:
    """The jobs of the first `count` candidates that differ in what they compute. The same each time it is asked.

    Raises:
        Refused: there are not so many among the first `DRAWS` times as many.
    """
    twins, rows = Twins(), list[Row]()
    for label, changes in islice(candidates(np.random.default_rng(0)), DRAWS * count):
        row = Row(label, changes)
        (one,) = _study(row).planned_jobs(protocol, 1)
        if not twins.earlier(label, one.job):
            rows.append(row)
        if len(rows) == count:
            return _study(*rows).planned_jobs(protocol, seeds)
    raise Refused(f"{len(rows)} candidates differ in what they compute, {count} are asked for: ask for fewer")


def whole(planned: Sequence[PlannedJob], home: Path) -> list[PlannedJob]:
    """The jobs of those candidates all of whose jobs are complete.

    Raises:
        Refused: there are fewer than two such candidates.
    """
    missing = {one.row for one in planned if not is_complete(job_folder(home, one.job.key))}
    through = [one for one in planned if one.row not in missing]
    if len({one.row for one in through}) < 2:
        raise Refused(f"{home}: fewer than two candidates are through; train them without --so-far")
    return through


def _study(*rows: Row) -> Study:
    return Study(NAME, "Which early signal tells how a training ends?", "ours", rtmo("s"), rows)


def trained(
    planned: Sequence[PlannedJob], home: Path, machine: Machine, jobs: int, train: TrainJob = train_job
) -> dict[str, QueueEntry]:
    """Trains what is not complete. Gives where each job stands at the end, also after an interrupt."""
    check_queueable(planned)
    by_key = {one.job.key: one for one in planned}
    queue = JobQueue(home, f"bench/{NAME}")
    settings = WorkerSettings(home, f"bench/{NAME}", machine, None, train)
    with interruptible() as check, console.Display(NAME) as screen:

        def look(entries: Mapping[str, QueueEntry]) -> bool:
            running = [key for key, entry in entries.items() if entry.state is JobState.RUNNING]
            screen.update(planned, entries, {key: read_progress(job_folder(home, key)) for key in running})
            return False

        try:
            with WorkerPool(settings, jobs, check) as pool:
                return work_off(queue, by_key, pool, look)
        except KeyboardInterrupt:
            return queue.final_entries(by_key)


# Statistics


@dataclass(frozen=True)
class Agreement:
    """How well a signal at a part of the training agrees with the final AP of another seed; `count` candidates."""

    signal: str
    part: float
    tau: float
    low: float
    high: float
    count: int


SignalsAt = Callable[[float], Mapping[str, float]]  # of one training, after a part of it


def agreements(planned: Sequence[PlannedJob], home: Path, parts: Sequence[float] = PARTS) -> list[Agreement]:
    """`agreeing`, of trainings that lie in a folder."""

    def after(one: PlannedJob, part: float) -> dict[str, float]:
        return signals_at(job_folder(home, one.job.key), rung_epoch(one.job.protocol, part))

    rows: dict[str, list[SignalsAt]] = defaultdict(list)
    for one in planned:
        rows[one.row].append(partial(after, one))
    return agreeing([*rows.values()], parts)


def recorded(protocol: StudyProtocol, seeds: int, folder: Path | None = None) -> list[list[SignalsAt]]:
    """The first seeds of every network that studies have trained so often, of the curves that are committed.

    Raises:
        Refused: there are fewer than two such networks.
    """
    networks: dict[tuple[str, ...], list[SignalsAt]] = {}  # by the keys of their jobs

    def after(curve: Sequence[Mapping[str, float]], part: float) -> dict[str, float]:
        return signals(curve, (), rung_epoch(protocol.protocol, part))

    for path in sorted((folder or _record.FOLDER).glob(f"*_{protocol.name}_curves.csv")):
        for by_seed in _curves(path).values():
            if all(str(seed) in by_seed for seed in range(seeds)):
                keys, curves = zip(*(by_seed[str(seed)] for seed in range(seeds)), strict=True)
                networks[keys] = [partial(after, curve) for curve in curves]
    if len(networks) < 2:
        raise Refused(
            f"{len(networks)} networks have {seeds} seeds of {protocol.name} on record: ask for fewer --seeds"
        )
    return [*networks.values()]


def _curves(path: Path) -> Mapping[str, Mapping[str, tuple[str, list[dict[str, float]]]]]:
    """Of a record by row and seed: the job's key, and its curve."""
    found: dict[str, dict[str, tuple[str, list[dict[str, float]]]]] = defaultdict(dict)
    with path.open(newline="", encoding="utf-8") as file:
        for one in csv.DictReader(file):
            row, seed, _, key = (one.pop(name) for name in ("row", "seed", "trunk", "job"))
            numbers = {name: float(value) for name, value in one.items() if value}
            found[row].setdefault(seed, (key, []))[1].append(numbers)
    return found


def agreeing(rows: Sequence[Sequence[SignalsAt]], parts: Sequence[float] = PARTS) -> list[Agreement]:
    """Every signal at every part that all candidates have, in the order of the parts, the best lower end first.

    Args:
        rows: of each candidate its seeds.
    """
    final = np.array([[of(1.0)["AP"] for of in row] for row in rows])
    found: list[Agreement] = []
    for part in parts:
        known = [[of(part) for of in row] for row in rows]
        names = dict.fromkeys(name for row in known for each in row for name in each if is_signal(name))
        for name in names:
            early = np.array([[each.get(name, math.nan) for each in row] for row in known])
            if np.isfinite(early).all():
                sign = 1.0 if name in METRICS else -1.0
                found.append(Agreement(name, part, *across_seeds(sign * early, final), len(rows)))
    return sorted(found, key=lambda one: (one.part, -one.low))


def is_signal(name: str) -> bool:
    return name in METRICS or name.removeprefix(SINCE_START).startswith("loss_")


def in_all(protocol: StudyProtocol) -> set[str]:
    """The losses that every option is trained with from the first step on, under the protocol and at published size."""
    variants = [
        changed_variant(rtmo("s"), changes, scale)
        for options in OPTIONS
        for changes in options.values()
        for scale in ({}, protocol.scale)
    ]
    return set.intersection(*({loss.term for loss in one.losses if loss.weights[0]} for one in variants))


def across_seeds(early: Floats, final: Floats, resamples: int = RESAMPLES) -> tuple[float, float, float]:
    """Tau of the early numbers of each seed with the final ones of each other, their mean, and its interval of 95 %.

    Args:
        early, final: (candidates, seeds), more is better in both.
    """
    count, seeds = early.shape
    drawn = np.random.default_rng(0).multinomial(count, np.full(count, 1 / count), size=resamples).astype(float)
    weights = np.concatenate([np.ones((1, count)), drawn])  # (R + 1, candidates)
    pairs = [taus(early[:, a], final[:, b], weights) for a, b in permutations(range(seeds), 2)]
    tau, *spread = np.mean(pairs, axis=0)
    if np.isnan(spread).all():  # nothing varies
        return float(tau), math.nan, math.nan
    low, high = np.nanquantile(spread, [0.025, 0.975])
    return float(tau), float(low), float(high)


def taus(a: Floats, b: Floats, weights: Floats) -> Floats:
    """Kendall's tau-b of the numbers a and b (n,), each counted as often as a line of `weights` (R, n) says.

    nan where one of them does not vary.
    """
    signs = [np.sign(x[:, None] - x[None, :]) for x in (a, b)]  # (n, n)

    def total(of: Floats) -> Floats:
        return ((weights @ of) * weights).sum(1)

    untied = np.sqrt(total(np.abs(signs[0])) * total(np.abs(signs[1])))
    return np.divide(total(signs[0] * signs[1]), untied, out=np.full(len(weights), np.nan), where=untied > 0)


def chosen(found: Iterable[Agreement], part: float = PARTS[0], floor: float = FLOOR) -> str:
    """The signal with the highest lower end at a part; "" where that is below the floor: rungs are off."""
    there = [one for one in found if one.part == part and one.low >= floor]
    return max(there, key=lambda one: one.low).signal if there else ""


def line(one: Agreement, protocol: str, seeds: int, source: str) -> dict[str, object]:
    """As it stands in the table."""
    return {
        "source": source,
        "protocol": protocol,
        "part": f"{one.part:g}",
        "signal": one.signal,
        "tau": f"{one.tau:.3f}",
        "low": f"{one.low:.3f}",
        "high": f"{one.high:.3f}",
        "candidates": one.count,
        "seeds": seeds,
        "machine": machine_name(),
        "commit": commit(),
        "date": datetime.now(UTC).isoformat(timespec="minutes"),
    }
