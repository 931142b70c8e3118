"""One job end to end: data, network, resume, training, evaluation, cost, record (see `training.record`)."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from errno import EINVAL
from io import BytesIO
from pathlib import Path
from typing import Any, overload

import cv2
import torch
from safetensors.torch import save

from workbench.core import distributed
from workbench.core.errors import Refused, one_line
from workbench.core.files import write_whole
from workbench.core.provenance import machine_name, result_tags
from workbench.data.draw import predictions
from workbench.evaluation.coco_ap import Evaluation
from workbench.inference.part_counts import cost_metrics
from workbench.models.initial import start_file
from workbench.models.job import Job
from workbench.tensors import Detections
from workbench.training.damage import put_aside
from workbench.training.loop import Tick, TrainingState, train
from workbench.training.machine import Machine
from workbench.training.memory import can_be_cut, in_parts, make_room, out_of_memory
from workbench.training.record import (
    PARTS,
    Progress,
    Result,
    arithmetic,
    arithmetic_of,
    is_complete,
    job_folder,
    read_curve,
    read_losses,
    read_result,
    write_curve,
    write_losses,
    write_result,
)
from workbench.training.rung import CHECKPOINT, PAUSED, STATE, Paused, check_until, read_pause, rung_of, write_pause
from workbench.training.source import Source, open_source
from workbench.training.start import initial_state
from workbench.training.validate import evaluate_network


def silent(_: Progress) -> None:
    """For callers that do not want to be told."""


@overload
def run(
    job: Job,
    machine: Machine,
    home: Path,
    data: Path | None = None,
    tell: Callable[[Progress], None] = silent,
    *,
    folder: Path | None = None,
) -> Result: ...


@overload
def run(
    job: Job,
    machine: Machine,
    home: Path,
    data: Path | None = None,
    tell: Callable[[Progress], None] = silent,
    until: int = 0,
    *,
    folder: Path | None = None,
) -> Result | Paused: ...


def run(
    job: Job,
    machine: Machine,
    home: Path,
    data: Path | None = None,
    tell: Callable[[Progress], None] = silent,
    until: int = 0,
    *,
    folder: Path | None = None,
) -> Result | Paused:
    """Trains and evaluates `job`, from its checkpoint if there is one; a complete job is only read.

    Where several processes may come upon the same job, the caller holds the lock of its folder (`locked_folder`).

    Args:
        home: holds the folder of every job, and beside them the rendered data and the features that jobs share.
        data: folder of the data set; None for the embedded scenes.
        tell: is called about once a second.
        until: the epoch after which the job pauses, unless it is the last one; 0 for none. A job that has paused there
            or later is only read.
        folder: for the record of this job, which lies there in place of among the others of `home`. It holds no other
            job's.

    Returns:
        the result of a complete job, or where it waits. The next call goes on from there.

    Raises:
        Refused: the data set does not fit the job, the machine's processes can not share its batch, the job that
            this one begins with is not complete, or its schedule has no epoch `until`.
    """
    check_until(job, until)
    folder = folder or job_folder(home, job.key)
    if not is_complete(folder) and not 0 < until <= rung_of(folder):
        check_ranks(job, machine.ranks)
        check_start(job, home)
        with write_whole(folder / "job.json") as part:
            part.write_text(json.dumps(job.to_dict(defaults=True), indent=1))
        _within_memory(job, machine, home, data, tell, until, folder)
    return read_result(folder) if is_complete(folder) else read_pause(folder)


def _within_memory(job: Job, machine: Machine, *given: Any) -> None:
    """Carries a job out, with each batch in two parts where memory does not suffice for it at once."""
    try:
        return _carry_out(job, machine, *given)
    except (MemoryError, RuntimeError, OSError) as error:
        if machine.parts > 1 or not out_of_memory(error) or not can_be_cut(job, 2, machine.ranks):
            raise
        print(
            f"job {job.key}: out of memory with batches of {job.protocol.batch}; it goes on with each of them in two "
            "parts, one after the other, and its record says so",
            file=sys.stderr,
            flush=True,
        )
    make_room()  # here, where the error that held it is gone
    _carry_out(job, replace(machine, parts=2), *given)


def _carry_out(
    job: Job,
    machine: Machine,
    home: Path,
    data: Path | None,
    tell: Callable[[Progress], None],
    until: int,
    folder: Path,
) -> None:
    """Trains and records on all processes of the machine."""
    if machine.ranks > 1:
        open_source(job, 0, home, data)  # what is wrong with it is said once, here
        given = (job, machine, home, data, until, folder)
        distributed.start(machine.ranks, train_and_record, *given, first={"tell": tell})
    else:
        train_and_record(job, machine, home, data, until, folder, tell)


def check_start(job: Job, home: Path) -> None:
    """Refuses a job before what it begins with is there.

    Raises:
        Refused: that job is not complete, or kept no state to go on from; or the file of weights is not kept in `home`.
    """
    if job.start.weights:
        start_file(home, job.start.weights)
    if not job.start.key:
        return
    folder = job_folder(home, job.start.key)
    if not is_complete(folder):
        raise Refused(
            f"job {job.key} begins with job {folder.name}, which is not complete in {folder.parent}: run the study "
            "that plans both, or copy its folder there"
        )
    if job.start.epoch and not (folder / STATE).exists():
        raise Refused(f"job {folder.name} kept no state to go on from: train it with protocol.stop={job.start.epoch}")


def check_ranks(job: Job, ranks: int) -> None:
    """Refuses a job whose batch can not be shared out evenly: what trains would not be what its key says.

    Raises:
        Refused: `ranks` processes times the job's `accumulate` do not divide its batch.
    """
    protocol = job.protocol
    if protocol.batch % (ranks * protocol.accumulate):
        parts = f"{ranks} processes" + f" times accumulate {protocol.accumulate}" * (protocol.accumulate > 1)
        raise Refused(
            f"batch {protocol.batch} can not be shared evenly by {parts}; make it a multiple of "
            f"{ranks * protocol.accumulate} (--set protocol.batch=N), or use fewer processes (torchrun "
            "--nproc-per-node N), or GPUs (CUDA_VISIBLE_DEVICES)"
        )


def train_and_record(
    job: Job,
    machine: Machine,
    home: Path,
    data: Path | None,
    until: int,
    folder: Path,
    tell: Callable[[Progress], None] = silent,
) -> None:
    """Trains, as far as `run` says; the first of several ranks also evaluates, tells and writes."""
    last = until or job.protocol.last
    computed = in_parts(job, machine.parts)
    source = open_source(computed, machine.workers, home, data, machine.device, machine.resident)
    begun = _start_arithmetic(job, home)
    how = arithmetic(machine.precision, start=begun)
    state = _begun(job, machine, source, home, folder, how)
    curve, losses = (
        [line for line in read(folder) if line["epoch"] <= state.epoch] for read in (read_curve, read_losses)
    )
    if rung_of(folder) > state.epoch and distributed.rank() == 0:  # nothing is left of what was trained up to there
        (folder / PAUSED).unlink()
    meter = _Meter(job, last, curve, tell)
    evaluated = None
    for tick in train(computed, state, source.train, source.steps, machine) if state.epoch < last else ():
        meter.add(tick)
        means = meter.means_of_all() if tick.epoch_end else {}
        if tick.epoch_end and distributed.rank() == 0:
            speed = meter.speed()
            losses.append({"epoch": float(tick.epoch), **means})
            write_losses(folder, losses)
            if tick.epoch % job.protocol.eval_every == 0 or tick.epoch == job.protocol.last:
                evaluated = evaluate_network(job, state.averaged, source, machine)
                curve.append(meter.line(tick, speed, dict(evaluated[0]), means))
                write_curve(folder, curve)
            _save(state.saved() | {"arithmetic": how}, folder / CHECKPOINT)
        if tick.epoch_end:
            distributed.wait()  # a rank that went on alone would be a checkpoint ahead
            if tick.epoch == last:
                break
            meter.start_epoch()
    if distributed.rank() == 0 and last < job.protocol.last:
        write_pause(folder, job.key, last, _tags(machine, begun))
    elif distributed.rank() == 0:
        # without an evaluation it was killed between the last epoch and the record
        evaluated = evaluated or evaluate_network(job, state.averaged, source, machine)
        _write_record(job, machine, folder, source, state, curve, evaluated, begun)


def _save(data: Mapping[str, Any], path: Path) -> None:
    """Writes a checkpoint. By way of memory: of a disk that is full torch says "unexpected pos 640 vs 534"."""
    made = BytesIO()
    torch.save(data, made)
    with write_whole(path) as part:
        part.write_bytes(made.getbuffer())


def kept_state(checkpoint: Path, mapped: bool = False) -> dict[str, Any]:
    """What a checkpoint of a job holds, on the CPU.

    Args:
        mapped: its tensors stay in the file until they are read.

    Raises:
        Refused: it is damaged.
    """
    try:
        data = torch.load(checkpoint, map_location="cpu", weights_only=True, mmap=mapped)
    except Exception as error:  # of torch, which says EINVAL of a file that is cut off, and of pickle
        if isinstance(error, MemoryError) or (isinstance(error, OSError) and error.errno != EINVAL):
            raise  # of the machine: another time it may be read
        raise Refused(f"{checkpoint}: it is damaged ({one_line(error)})") from error
    if not isinstance(data, dict):
        raise Refused(f"{checkpoint}: it is damaged (it holds a {type(data).__name__})")
    return data


def _put_aside_damaged(state: TrainingState, folder: Path) -> None:
    """Takes a checkpoint that can not be gone on from out of the way, with the curve up to there, and says so: a job
    keeps one, so it begins anew."""
    checkpoint = folder / CHECKPOINT
    if not os.path.lexists(checkpoint):
        return
    try:
        why = _misfit(state, kept_state(checkpoint, mapped=True))
        for read in (read_curve, read_losses):
            read(folder)
    except Refused as error:
        why = str(error)
    except IsADirectoryError as error:
        why = f"{checkpoint}: {error.strerror}"
    if why:
        for path in (checkpoint, folder / "curve.csv", folder / "losses.csv"):
            if os.path.lexists(path):
                put_aside(path)
        print(f"{why}; it was put aside, and the job begins anew", file=sys.stderr, flush=True)


def _misfit(state: TrainingState, data: Mapping[str, Any]) -> str:
    """Why a checkpoint is not one of this job; "" where it is."""
    mine = state.saved()
    if missing := [name for name in mine if name not in data]:
        return f"{CHECKPOINT}: it has no {', '.join(missing)}"
    for part in ("model", "ema"):
        shapes, theirs = ({k: getattr(v, "shape", None) for k, v in one[part].items()} for one in (mine, data))
        if shapes != theirs:
            return f"{CHECKPOINT}: its {part} is of another network"
    return ""


def _begun(job: Job, machine: Machine, source: Source, home: Path, folder: Path, how: str) -> TrainingState:
    """As a job begins, or goes on. The first of several ranks sends it to the others: none needs its files."""
    if distributed.rank() == 0:
        state = initial_state(job, machine, source, home)
        _put_aside_damaged(state, folder)
        _resume(state, folder / CHECKPOINT, how)
    else:
        state = TrainingState(job, machine, source.network)
    kept = distributed.from_first(state.saved)
    if distributed.rank():
        state.load(kept)
    return state


def _resume(state: TrainingState, checkpoint: Path, how: str) -> None:
    """Goes on from a checkpoint, where there is one that was computed as this run computes."""
    if not checkpoint.exists():
        return
    data = kept_state(checkpoint)
    if data.get("arithmetic") == how:  # what is half one thing and half another is neither
        state.load(data)


def _start_arithmetic(job: Job, home: Path) -> str:
    """How the job was computed that this one begins with; "" without one."""
    return arithmetic_of(read_result(job_folder(home, job.start.key)).tags) if job.start.key else ""


def _write_record(
    job: Job,
    machine: Machine,
    folder: Path,
    source: Source,
    state: TrainingState,
    curve: list[dict[str, float]],
    evaluated: tuple[Evaluation, list[Detections]],
    begun: str,
) -> None:
    """The files of a complete job, `result.json` last. `begun`: how what it began with was computed."""
    evaluation, found = evaluated
    evaluation.records.save(folder / "records.npz")
    by_image = {one.image_id: one for one in found}
    shown = [picture for picture in source.pictures if picture.image_id in by_image]
    with write_whole(folder / "predictions.png") as part:
        part.write_bytes(cv2.imencode(".png", predictions(shown, [by_image[p.image_id] for p in shown]))[1].tobytes())
    with write_whole(folder / "weights.safetensors") as part:
        part.write_bytes(save({k: v.contiguous() for k, v in state.averaged.state_dict().items()}))
    unreadable = {"unreadable_images": float(len(source.unreadable))}
    metrics = {**curve[-1], **dict(evaluation), **cost_metrics(job), **unreadable}
    if job.protocol.stop:
        _save(state.saved(), folder / STATE)
    write_result(folder, job.key, metrics, _tags(machine, begun))
    for name in (CHECKPOINT, PAUSED):
        (folder / name).unlink(missing_ok=True)


def _tags(machine: Machine, begun: str) -> dict[str, str]:
    tags = result_tags(machine_name(machine.device), torch.get_num_threads(), machine.precision, machine.ranks)
    more = {"start_arithmetic": begun} if begun else {}
    return tags | more | ({PARTS: str(machine.parts)} if machine.parts > 1 else {})


@dataclass
class _Meter:
    """Mean losses and speed of the epoch under way; tells at most once a second."""

    job: Job
    last: int  # epoch that this run ends with
    curve: list[dict[str, float]]
    tell: Callable[[Progress], None]
    sums: dict[str, torch.Tensor] = field(default_factory=dict)
    steps: int = 0
    images: int = 0
    began: float = field(default_factory=time.perf_counter)
    told: float = 0.0

    def start_epoch(self) -> None:
        self.sums, self.steps, self.images, self.began = {}, 0, 0, time.perf_counter()

    def add(self, tick: Tick) -> None:
        self.steps, self.images = self.steps + 1, self.images + tick.images * distributed.world()
        for name, term in tick.terms.items():
            self.sums[name] = self.sums.get(name, torch.zeros_like(term)) + term
        if time.perf_counter() - self.told > 1:
            self.told = time.perf_counter()
            self.tell(self._progress(tick))

    def speed(self) -> float:
        return self.images / max(time.perf_counter() - self.began, 1e-9)

    def means(self) -> dict[str, float]:
        return {name: float(total) / self.steps for name, total in self.sums.items()}

    def means_of_all(self) -> dict[str, float]:
        """The means over all ranks, each of which asks for them."""
        totals = distributed.mean(torch.stack(list(self.sums.values()))).tolist()
        return {name: total / self.steps for name, total in zip(self.sums, totals, strict=True)}

    def _progress(self, tick: Tick) -> Progress:
        protocol = self.job.protocol
        epochs, begun = self.last, self.job.start.epoch
        done = tick.epoch + (not tick.epoch_end) * (tick.progress * protocol.epochs - tick.epoch)
        total = self.images / max(done - int(tick.progress * protocol.epochs - 1e-9), 1e-9) * (epochs - done)
        last = {k: v for k, v in self.curve[-1].items() if not k.startswith("loss")} if self.curve else {}
        speed = self.speed()
        return Progress(tick.epoch, epochs, (done - begun) / (epochs - begun), speed, total / speed, self.means(), last)

    def line(
        self, tick: Tick, speed: float, metrics: Mapping[str, float], means: Mapping[str, float]
    ) -> dict[str, float]:
        """One line of the curve. `speed` was read before the evaluation, which is not part of it."""
        return {
            "epoch": float(tick.epoch),
            **metrics,
            **means,
            "train_images_per_s": speed,
            "lr": tick.lr,
        }
