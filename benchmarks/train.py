"""Images per second of training, by part of the step, against two floors and against the step as written first.

Run:   workbench bench train [--label after] [--only nano] [--rounds 30] [--anyway]

Everything is called in turn, round by round: `train` itself, the same step cut into its parts, the plain step of
`benchmarks/_plain.py`, the step's multiply-adds as plain matrix products, and the loader alone. The loader with worker
processes is timed after them, because its workers would run beside the others. Appends to reports/data/bench_train.csv.
"""

from __future__ import annotations

import argparse
import tempfile
import time
import weakref
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils import clip_grad_norm_
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.weak import WeakIdKeyDictionary

from benchmarks import _floors
from benchmarks._plain import PlainTraining
from benchmarks._record import append, conditions
from workbench.experiments import protocols
from workbench.inference.timing import Call, Comparison, Patience, measure, paired
from workbench.models import zoo
from workbench.models.criterion import losses
from workbench.models.job import Job, Protocol, phase_at
from workbench.models.schedule import learning_rate
from workbench.tensors import Batch
from workbench.training.loop import TrainingState, forward_of, train
from workbench.training.machine import Machine, this_machine
from workbench.training.source import open_source

PARTS = ("data", "forward", "assignment and losses", "backward", "optimiser and EMA")
IMAGES = 256  # distinct scenes
WORKERS = 2
MEASURED = ("images_per_s", "images_per_core_s", "share", "x_plain", "x_plain_low", "x_plain_high", "peak_mb")
FIRST: Mapping[str, object] = {  # the nano preset before it was made smaller (reports/LOG.md)
    "backbone.depth": 0.33,
    "neck.transformer_embed_dims": 96,
    "coords.feat_channels_dcc": 64,
    "coords.num_bins": (96, 128),
}
PROTOCOL = Protocol(images=IMAGES, epoch_images=IMAGES, epochs=1_000, eval_images=8)


@dataclass(frozen=True)
class Case:
    """What is trained, and on how many threads."""

    name: str
    job: Job
    threads: int
    plain: Job | None = None  # what the plain step trains, where that is another network


def cases() -> list[Case]:
    """The laptop studies' own; RTMO-s with the published augmentation."""
    nano = replace(PROTOCOL, size=(96, 96), batch=32)
    small = replace(PROTOCOL, size=(320, 320), batch=8, augment="rtmo")
    mine = Job(variant=zoo.nano(), recipe=protocols.NANO_RECIPE, protocol=nano)
    return [
        Case("nano", mine, threads=1),
        Case("nano, plain: its first version", mine, threads=1, plain=replace(mine, variant=mine.variant.vary(FIRST))),
        Case("rtmo-s", Job(variant=zoo.rtmo("s"), protocol=small), threads=2),
    ]


class Parts:
    """The step of `training.loop.train`, cut where its parts meet. `seconds` and `cpu` have a list for each part."""

    def __init__(self, job: Job, data: Callable[[int], Iterable[Batch]], steps: int, machine: Machine) -> None:
        self.job, self.machine, self.steps = job, machine, steps
        self.state = TrainingState(job, machine)
        self.forward = forward_of(self.state.model.train(), job, machine)
        self.batches, self.step = endless(data, middle(job)), middle(job) * steps
        self.seconds: dict[str, list[float]] = defaultdict(list)
        self.cpu: dict[str, list[float]] = defaultdict(list)

    def __call__(self) -> None:
        job, state, machine = self.job, self.state, self.machine
        total, phase = job.protocol.epochs * self.steps, phase_at(job, middle(job) / job.protocol.epochs)
        self._start()
        for group in state.optim.param_groups:
            group["lr"] = learning_rate(job.recipe.schedule, group["base"], self.step, total)
        batch = next(self.batches).to(machine.device)
        self._done("data")
        with machine.autocast():
            dense = self.forward(batch.images)
            self._done("forward")
            terms = losses(state.model, dense, batch.targets, phase)
            loss = torch.stack(list(terms.values())).sum()
        self._done("assignment and losses")
        loss.backward()
        self._done("backward")
        clip_grad_norm_(state.model.parameters(), job.recipe.clip, error_if_nonfinite=True)
        state.optim.step()
        state.optim.zero_grad(set_to_none=True)
        state.ema.update(state.model)
        self._done("optimiser and EMA")
        self.step += 1

    def _start(self) -> None:
        self._began = time.perf_counter(), time.process_time()

    def _done(self, part: str) -> None:
        if torch.device(self.machine.device).type == "cuda":
            torch.cuda.synchronize(self.machine.device)
        began, cpu = self._began
        self._start()
        self.seconds[part].append(self._began[0] - began)
        self.cpu[part].append(self._began[1] - cpu)


def middle(job: Job) -> int:
    """The epoch that is timed: in the longest phase, in which the coordinate stage teaches the regression branch."""
    return job.protocol.epochs // 2


def endless(data: Callable[[int], Iterable[Batch]], epoch: int) -> Iterator[Batch]:
    """The batches of this epoch and of all that follow."""
    while True:
        yield from data(epoch)
        epoch += 1


class Whole:
    """The real thing, one step per call."""

    def __init__(self, job: Job, data: Callable[[int], Iterable[Batch]], steps: int, machine: Machine) -> None:
        self.state = TrainingState(job, machine)
        self.state.epoch = middle(job)
        self.ticks = train(job, self.state, data, steps, machine)

    def __call__(self) -> None:
        next(self.ticks)


class Plain:
    """The step as written first, one per call."""

    def __init__(self, job: Job, data: Callable[[int], Iterable[Batch]], steps: int, device: str) -> None:
        self.training, self.batches = PlainTraining(job, device), endless(data, middle(job))
        self.step, self.total = middle(job) * steps, job.protocol.epochs * steps

    def __call__(self) -> None:
        self.training.step(next(self.batches), self.step, self.total)
        self.step += 1


class Alive(TorchDispatchMode):
    """Bytes of the tensors that are alive, and their peak. What a kernel takes for itself meanwhile is not seen."""

    def __init__(self, there: Iterable[Tensor]) -> None:
        super().__init__()
        self.now = self.peak = 0
        self.known = WeakIdKeyDictionary()
        for tensor in there:
            self._add(tensor)

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(out):
            if isinstance(tensor, Tensor):
                self._add(tensor)
        return out

    def _add(self, tensor: Tensor) -> None:
        storage = tensor.untyped_storage()
        if storage not in self.known:
            self.known[storage] = storage.nbytes()
            self.now += storage.nbytes()
            self.peak = max(self.peak, self.now)
            weakref.finalize(storage, self._gone, storage.nbytes())

    def _gone(self, size: int) -> None:
        self.now -= size


def peak(step: Call, *holders: nn.Module | torch.optim.Optimizer) -> float:
    """Megabytes of tensors at the fullest moment of a step, with what the holders keep. A step has been made before."""
    kept = [t for holder in holders for t in tree_leaves(holder.state_dict()) if isinstance(t, Tensor)]
    with Alive(kept) as alive:
        step()
    return alive.peak / 1e6


class Costed:
    """A call, and the processor seconds of each time that it was made."""

    def __init__(self, call: Call) -> None:
        self.call = call
        self.cpu: list[float] = []

    def __call__(self) -> None:
        began = time.process_time()
        self.call()
        self.cpu.append(time.process_time() - began)


def positives(state: TrainingState, batch: Batch) -> int:
    """Cells of a batch that learn a person, under the weights as they are."""
    variant = state.model.variant
    sigmas = torch.tensor(variant.skeleton.sigmas, device=batch.targets.boxes.device)
    with torch.no_grad():
        return len(variant.assigner.assign(state.model(batch.images), batch.targets, sigmas).cell)


def timed(case: Case, machine: Machine, rounds: int, anyway: bool, home: Path) -> list[dict[str, object]]:
    """The lines of one case, without label and conditions of the record."""
    job, batch = case.job, case.job.protocol.batch
    source = open_source(job, 0, home)
    data = endless(source.train, middle(job))
    parts = Parts(job, source.train, source.steps, machine)
    whole = Whole(job, source.train, source.steps, machine)
    plain = Plain(case.plain or job, source.train, source.steps, machine.device)
    learning = positives(parts.state, next(data).to(machine.device))
    calls = {
        "train": Costed(whole),
        "parts": parts,
        "plain": Costed(plain),
        "matrix products": Costed(_floors.products(_floors.multiply_adds(job, learning), machine)),
        "loader alone": Costed(lambda: next(data)),
    }
    found = measure(
        calls,
        "plain",
        threads=case.threads,
        device=machine.device,
        patience=Patience(seconds=3600, rounds=rounds, most=rounds),
        anyway=anyway,
        primed=False,
    )
    peaks = {
        "train": peak(whole, whole.state.model, whole.state.averaged, whole.state.optim),
        "plain": peak(plain, plain.training.model, plain.training.ema, plain.training.optim),
    }
    wholes = [_side_by_side(n, c, found, batch, peaks.get(n)) for n, c in calls.items() if isinstance(c, Costed)]
    workers = open_source(job, WORKERS, home)
    alone = {"what": f"loader alone, {WORKERS} workers", "images_per_s": _floors.per_second(workers.train, batch)}
    about = {
        "network": case.name,
        "size": job.protocol.size[0],
        "batch": batch,
        "precision": "bf16" if machine.bf16 else "float32",
        "positives": learning,
    }
    return [
        about | dict.fromkeys(MEASURED, "") | {name: _text(value) for name, value in line.items()} | conditions(found)
        for line in (*_parts(parts, found.rounds, batch), *wholes, alone)
    ]


def _parts(parts: Parts, rounds: int, batch: int) -> Iterator[dict[str, object]]:
    """What each part of the step would do alone, and its share of the step, from medians over the recorded rounds."""
    seconds, cpu = ({part: float(np.median(of[part][-rounds:])) for part in PARTS} for of in (parts.seconds, parts.cpu))
    for part in PARTS:
        yield {
            "what": part,
            "images_per_s": batch / seconds[part],
            "images_per_core_s": batch / cpu[part],
            "share": seconds[part] / sum(seconds.values()),
        }


def _side_by_side(what: str, call: Costed, found: Comparison, batch: int, megabytes: float | None) -> dict[str, object]:
    faster = paired(found.seconds["plain"], found.seconds[what])
    return {
        "what": what,
        "images_per_s": batch * 1e3 / found.milliseconds(what).value,
        "images_per_core_s": batch / float(np.median(call.cpu[-found.rounds :])),
        "x_plain": faster.value,
        "x_plain_low": faster.low,
        "x_plain_high": faster.high,
        "peak_mb": "" if megabytes is None else megabytes,
    }


def _text(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def main(options: Sequence[str] = ()) -> int:
    """Prints the table of each case and appends it to the record."""
    known = {case.name: case for case in cases()}
    parser = argparse.ArgumentParser(prog="workbench bench train")
    parser.add_argument("--label", default="", help="what the lines stand for, as before or after a change")
    parser.add_argument("--only", choices=known, help="default: all")
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--precision", choices=("float32", "bf16"), help="default: what training takes on this machine")
    parser.add_argument("--anyway", action="store_true", help="measure on a busy machine, too")
    args = parser.parse_args(options)
    machine = this_machine()
    if args.precision:
        machine = replace(machine, bf16=args.precision == "bf16")
    for case in known.values():
        if args.only in (None, case.name):
            with tempfile.TemporaryDirectory() as home:
                lines = timed(case, machine, args.rounds, args.anyway, Path(home))
            print(_table(lines))
            path = append("train", [{"label": args.label, **line} for line in lines])
            print(path, flush=True)
    return 0


def _table(lines: Sequence[Mapping[str, object]]) -> str:
    one = lines[0]
    head = "{network} at {size} px, batch {batch}, {precision}, {positives} positives; {machine}, {threads} thread(s), "
    text = [(head + "others on {others} cores, {rounds} rounds").format(**one)]
    text.append(f"{'':32}" + "".join(f"{name:>18}" for name in MEASURED))
    text += [f"{line['what']:32}" + "".join(f"{line[name]:>18}" for name in MEASURED) for line in lines]
    return "\n".join(text)
