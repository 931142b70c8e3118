"""RTMO-s at 640 px on a GPU: images per second, how much of that is matrix work, what the rest is, the largest batch.

Run:   workbench bench train_gpu [--batch 64] [--rounds 6] [--ways resident ...] [--steps 40] [--anyway]

Four ways side by side: images read and augmented by processes, or kept and augmented in the GPU's memory, each with the
dense part of the network as it is written and compiled. Besides them the step's multiply-adds as plain matrix products
in the same precision, and both ways of making batches with nobody who waits. A call is a row of steps, and an equal row
goes before it that is not timed: else what processes have prepared while others were timed would count as speed. Then
each way runs under the profiler, and the batch grows until it does not fit, with the network as it is written.
Appends to reports/data/bench_train_gpu.csv.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import fields, replace
from itertools import islice
from pathlib import Path

import torch
from torch.profiler import ProfilerActivity, profile

from benchmarks import _floors
from benchmarks._record import append, conditions
from benchmarks.train import Whole, endless, middle, positives
from workbench.core.errors import Refused
from workbench.inference.timing import Call, Comparison, Patience, measure, paired
from workbench.models import zoo
from workbench.models.job import Job, Protocol
from workbench.tensors import Batch
from workbench.training.loop import TrainingState, train
from workbench.training.machine import RESIDENT, Machine, this_machine
from workbench.training.source import Source, open_source

IMAGES = 256  # distinct scenes
STEPS = 40  # in a row: more than processes prepare ahead; without such processes fewer do
THREADS = 4  # of this process: one starts kernels forwards, one backwards
FIRST = "loaded"  # the way that the others are compared with, where it is among them
WAYS = (FIRST, "loaded, compiled", "resident", "resident, compiled")
PRODUCTS = "matrix products"
KINDS = {  # what a kernel's name tells of it; the first that fits
    "depthwise": ("depthwise", "2d_c1_k1"),
    "matrix": (
        "gemm", "xmma", "cutlass", "cublas", "nvjet", "fprop", "dgrad", "wgrad", "fmha", "flash", "triton_tem",
        "::mm", "::bmm", "::addmm", "convolution",
    ),
    "fused by the compiler": ("triton_",),
    "optimiser and EMA": ("multi_tensor_apply", "_foreach_", "adamw"),
    "norms": ("batch_norm", "batchnorm", "bn_fw", "bn_bw", "layer_norm", "layernorm", "gammabeta"),
    "copies and layouts": ("memcpy", "memset", "nchwtonhwc", "nhwctonchw", "copy", "catarray", "::cat"),
    "resampling and pooling": ("grid_sampl", "upsample", "flip", "pool"),
    "reductions": ("reduce", "softmax", "::sum"),
    "sorting and indexing": ("index", "gather", "scatter", "sort", "topk", "radix", "scan", "select", "nonzero", "cub"),
    "pointwise": ("elementwise", "fill", "silu", "::mul", "::add"),
}  # fmt: skip
REST = ("other kernels", "idle")


def the_job(batch: int) -> Job:
    """The published augmentation; an epoch so long that its end is not met."""
    protocol = Protocol(
        images=IMAGES,
        epoch_images=2_000 * batch,
        epochs=1_000,
        eval_images=8,
        size=(640, 640),
        batch=batch,
        augment="rtmo",
    )
    return Job(variant=zoo.rtmo("s"), protocol=protocol)


def ways(machine: Machine) -> dict[str, Machine]:
    """What is compared: where images come from, and whether the network is compiled."""
    return {
        name: replace(
            machine,
            resident=RESIDENT * name.startswith("resident"),
            compiler="inductor" * name.endswith("compiled"),
        )
        for name in WAYS
    }


# What the time goes to


def kind(kernel: str) -> str:
    """The row of `KINDS` that a kernel's name belongs to."""
    name = kernel.lower()
    return next((row for row, words in KINDS.items() if any(word in name for word in words)), REST[0])


def shares(call: Call, device: str) -> dict[str, float]:
    """The share of a call's time that each kind of kernel takes; idle is where none runs, and what recording costs.

    Only kernels are recorded, so that it costs little; on a CPU operators stand for them. A call that is not recorded
    goes before.
    """
    call()
    cuda = torch.device(device).type == "cuda"
    with profile(activities=[ProfilerActivity.CUDA if cuda else ProfilerActivity.CPU]) as seen:
        began = time.perf_counter()
        call()
        if cuda:
            torch.cuda.synchronize(device)
        whole = time.perf_counter() - began
    seconds: dict[str, float] = defaultdict(float)
    for event in seen.key_averages():
        if event.device_type.name == ("CUDA" if cuda else "CPU") and not event.is_user_annotation:
            seconds[kind(event.key)] += (event.self_device_time_total if cuda else event.self_cpu_time_total) / 1e6
    seconds[REST[1]] = max(whole - sum(seconds.values()), 0.0)
    return {row: seconds[row] / whole for row in (*KINDS, *REST)}


# The largest batch


def largest(refusal: Callable[[int], str], first: int, within: int) -> tuple[int, int, str]:
    """The largest batch that is not refused, the smallest that is, and why: doubled, then halved between the two."""
    fits, tried, why = 0, first, ""
    while not (why := refusal(tried)):
        fits, tried = tried, 2 * tried
    while tried - fits > within:
        between = (fits + tried) // 2
        if reason := refusal(between):
            tried, why = between, reason
        else:
            fits = between
    return fits, tried, why


def refused(job: Job, machine: Machine, batch: Batch, size: int) -> str:
    """Why two steps of training on so many images can not be made; "" where they can."""
    try:
        state = TrainingState(job, machine)
        state.epoch, many = middle(job), repeated(batch, size)
        for _ in islice(train(job, state, lambda _: (many, many), 2, machine), 2):
            pass
    except RuntimeError as error:  # out of memory is one; a kernel that can not count so many values is another
        return f"{type(error).__name__}: {error}".splitlines()[0][:100]
    finally:
        if torch.device(machine.device).type == "cuda":
            torch.cuda.empty_cache()
    return ""


def repeated(batch: Batch, size: int) -> Batch:
    """So many images: those of the batch, again and again."""
    rows = torch.arange(size) % len(batch.image_ids)
    there = {f.name: getattr(batch.targets, f.name) for f in fields(batch.targets)}
    targets = replace(batch.targets, **{k: v if v is None else v[rows.to(v.device)] for k, v in there.items()})
    ids = tuple(batch.image_ids[row] for row in rows.tolist())
    return Batch(images=batch.images[rows.to(batch.images.device)], targets=targets, image_ids=ids)


# The measurement


def in_a_row(call: Call, steps: int) -> Call:
    """The call so many times."""

    def calls() -> None:
        for _ in range(steps):
            call()

    return calls


def measured(
    job: Job, ways: Mapping[str, Machine], steps: int, rounds: int, anyway: bool, home: Path
) -> Iterator[dict[str, object]]:
    """The lines of the record. The first of `ways` is the reference."""
    first, machine = next(iter(ways.items()))
    opened = {name: _opened(job, way, home) for name, way in ways.items()}
    trains = {name: Whole(job, opened[name].train, opened[name].steps, way) for name, way in ways.items()}
    alone = {f"batches alone, {n}": _opened(job, w, home) for n, w in ways.items() if not w.compiler}
    batch = next(endless(opened[first].train, middle(job)))
    adds = _floors.multiply_adds(job, positives(trains[first].state, batch.to(machine.device)))
    waiting = {name: endless(source.train, middle(job)) for name, source in alone.items()}
    calls = {
        **{name: in_a_row(whole, steps) for name, whole in trains.items()},
        **{name: in_a_row(lambda b=batches: next(b), steps) for name, batches in waiting.items()},
        PRODUCTS: in_a_row(_floors.products(adds, machine), steps),
    }
    for call in calls.values():
        call()  # processes start here: later they would be bound to the cores of this one
    patience = Patience(120, rounds, rounds)
    found = measure(calls, first, threads=THREADS, device=machine.device, patience=patience, anyway=anyway)
    spent = {name: shares(calls[name], machine.device) for name in trains}
    del call, calls, trains  # their weights take memory
    most, one_more, why = largest(lambda n: refused(job, machine, batch, n), len(batch.image_ids), within=32)
    print(f"largest batch, network as written: {most}; {one_more} is refused: {why}", flush=True)
    for name in found.seconds:
        works = name in spent or name == PRODUCTS
        yield {
            "size": job.protocol.size[0],
            "batch": job.protocol.batch,
            "precision": "bf16" if machine.bf16 else "float32",
            "what": name,
            **_speeds(found, name, len(batch.image_ids) * steps, adds * steps if works else None),
            **{row: f"{spent[name][row]:.3f}" if name in spent else "" for row in (*KINDS, *REST)},
            "largest_batch": most if name == first else "",
            **conditions(found),
        }


def _opened(job: Job, machine: Machine, home: Path) -> Source:
    return open_source(job, machine.workers, home, None, machine.device, machine.resident)


def _speeds(found: Comparison, name: str, images: int, adds: int | None) -> dict[str, str]:
    """Images per second, how many times the reference's, and how near the products' rate; teraflops count two each."""
    seconds = found.seconds[name]
    faster, floor = paired(found.seconds[found.reference], seconds), paired(found.seconds[PRODUCTS], seconds)
    milliseconds = found.milliseconds(name).value
    return {
        "images_per_s": f"{images * 1e3 / milliseconds:.4g}",
        f"x_{found.reference}": f"{faster.value:.3g}",
        "low": f"{faster.low:.3g}",
        "high": f"{faster.high:.3g}",
        "teraflops": "" if adds is None else f"{2e-9 * adds / milliseconds:.4g}",
        "of_matrix_rate": "" if adds is None else f"{floor.value:.3f}",
    }


def main(options: Sequence[str] = ()) -> int:
    """Prints the table and appends it to the record.

    Raises:
        Refused: there is no GPU.
    """
    parser = argparse.ArgumentParser(prog="workbench bench train_gpu")
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=6, help="fewer give no interval")
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=WAYS, help="which of them; default: all")
    parser.add_argument("--steps", type=int, default=STEPS, help="in a row, of each way in each round")
    parser.add_argument("--anyway", action="store_true", help="measure on a busy machine, too")
    args = parser.parse_args(options)
    machine = this_machine()
    if torch.device(machine.device).type != "cuda":
        raise Refused("bench train_gpu: torch sees no CUDA device here; `bench train` measures this machine")
    with tempfile.TemporaryDirectory() as home:
        job = the_job(args.batch)
        asked = {name: way for name, way in ways(machine).items() if name in args.ways}
        lines = list(measured(job, asked, args.steps, args.rounds, args.anyway, Path(home)))
    print(table(lines))
    print(append("train_gpu", lines), flush=True)
    return 0


def table(lines: Sequence[Mapping[str, object]]) -> str:
    """The lines for people: what was measured in columns, how it is spent below."""
    names, spent = list(lines[0]), (*KINDS, *REST)
    numbers = names[names.index("what") + 1 : names.index(spent[0])]
    text = ["{size} px, batch {batch}, {precision}; {machine}, {rounds} rounds".format(**lines[0])]
    text.append(f"{'':32}" + "".join(f"{name:>16}" for name in numbers))
    text += [f"{line['what']:32}" + "".join(f"{line[name]!s:>16}" for name in numbers) for line in lines]
    text.append("share of the time, by kind of kernel")
    ways = [line for line in lines if line["matrix"] != ""]
    text.append(f"{'':32}" + "".join(f"{line['what']:>20}" for line in ways))
    text += [f"{row:32}" + "".join(f"{line[row]!s:>20}" for line in ways) for row in spent]
    return "\n".join(text)
