"""How fast are the deployed forms on a GPU? One image with few and many persons, and a batch.

Run:   workbench bench deploy_gpu [--network rtmo-l] [--size 640] [--batch 32] [--anyway]

Needs a GPU. Times run from images on the GPU to the records of their persons on the host. Appends to
reports/data/bench_deploy_gpu.csv:
    image     every form, with 0, 10 and 100 persons found, against the network as it is trained, in float32
    batch     every form, with 10 persons in each image
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, replace

from benchmarks._record import append, conditions
from workbench.inference.deployed import agreement
from workbench.inference.latency import TimingTask, with_batch_statistics
from workbench.inference.runtimes import RUNTIMES
from workbench.inference.timing import Call, Comparison, Patience, measure
from workbench.models import zoo

DEVICE = "cuda"
FORMS = ("eager", "torch", "cudagraph")
PRECISIONS = ("bf16", "fp16")
PERSONS = (0, 10, 100)


@dataclass(frozen=True)
class Entry:
    """One line of a table."""

    runtime: str
    precision: str
    task: TimingTask

    def __str__(self) -> str:
        return f"{self.runtime} {self.precision} {self.task.persons}"


def main(options: Sequence[str] = ()) -> int:
    """Measures, prints and records; returns 1 where a form finds other persons than the network."""
    parser = argparse.ArgumentParser(prog="workbench bench deploy_gpu")
    parser.add_argument("--network", default="rtmo-l", help="as in: workbench latency NAME")
    parser.add_argument("--size", type=int, default=640)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--seconds", type=float, default=60.0, help="at most, per table")
    parser.add_argument("--anyway", action="store_true", help="measure on a busy machine, too")
    args = parser.parse_args(options)
    image = TimingTask((args.size, args.size), device=DEVICE)
    batch = replace(image, batch=args.batch)
    network = with_batch_statistics(zoo.network_named(args.network), image)
    fine, lines = True, []
    for table, base, persons in (("image", image, PERSONS), ("batch", batch, (image.persons,))):
        entries = entries_of(base, persons)
        calls = {str(e): RUNTIMES[e.runtime].prepare(network, e.task, e.precision) for e in entries}
        fine &= check(calls, entries)
        patience = Patience(seconds=args.seconds)
        found = measure(calls, str(entries[0]), device=DEVICE, patience=patience, anyway=args.anyway)
        lines += [{"table": table, "network": args.network, **line(e, found)} for e in entries]
    for one in lines:
        print("  ".join(str(value) for value in list(one.values())[:13]))
    print(append("deploy_gpu", lines))
    return int(not fine)


def entries_of(task: TimingTask, persons: Sequence[int]) -> list[Entry]:
    """The reference, then every form."""
    forms = [(form, precision) for form in FORMS for precision in PRECISIONS]
    return [
        Entry("eager", "float32", task),
        *(Entry(*form, replace(task, persons=count)) for form in forms for count in persons),
    ]


def check(calls: dict[str, Call], entries: Sequence[Entry]) -> bool:
    """Prints how well each form agrees with the network in float32; true where none misses a person."""
    reference, *others = entries
    theirs, fine = calls[str(reference)](), True
    for entry in others:
        if entry.task.persons == reference.task.persons:
            seen = agreement(calls[str(entry)](), theirs)  # pyright: ignore[reportArgumentType]
            print(f"{entry}: {seen}", flush=True)
            fine &= seen.missing == seen.extra == 0
    return fine


def line(entry: Entry, found: Comparison) -> dict[str, object]:
    ms, ratio = found.milliseconds(str(entry)), found.ratio(str(entry))
    return {
        "size": entry.task.size[0],
        "batch": entry.task.batch,
        "form": f"{entry.runtime} {entry.precision}",
        "persons": entry.task.persons,
        "p50_ms": f"{ms.value:.3f}",
        "p50_low": f"{ms.low:.3f}",
        "p50_high": f"{ms.high:.3f}",
        "p90_ms": f"{found.milliseconds(str(entry), 0.9).value:.3f}",
        "images_per_s": f"{1e3 * entry.task.batch / ms.value:.1f}",
        "faster": f"{1 / ratio.value:.3f}",  # than the reference, so many times
        "low": f"{1 / ratio.high:.3f}",
        "high": f"{1 / ratio.low:.3f}",
        "reference": found.reference,
        **conditions(found),
    }
