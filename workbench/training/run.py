"""One job end to end: data, network, resume, training, evaluation, cost, record. A folder per job key.

job.json             the whole job
checkpoint.pt        the state after the last complete epoch; gone when the job is complete
curve.csv            one line per evaluation: epoch, metrics, mean losses, images per second
records.npz          per-image match records of the last evaluation
predictions.png      validation images with the persons found
weights.safetensors  the averaged weights
result.json          final numbers, written last: its presence means that the job is complete
"""

from __future__ import annotations

import csv
import json
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import torch
from safetensors.torch import save

from workbench.core import distributed
from workbench.core.files import write_whole
from workbench.core.provenance import machine_name, result_tags
from workbench.core.skeletons import CROWDPOSE, skeleton
from workbench.data.draw import predictions
from workbench.evaluation.coco_ap import Evaluation, Evaluator
from workbench.inference.cost import cost_metrics
from workbench.inference.latency import latency_metrics
from workbench.models.decode import detect
from workbench.models.job import Job
from workbench.models.network import Network
from workbench.tensors import Detections
from workbench.training.loop import Tick, TrainingState, train
from workbench.training.machine import Machine
from workbench.training.source import Source, open_source

FLAT = 0.005  # AP over the last quarter of training below which a curve counts as flat


@dataclass(frozen=True)
class Progress:
    """What a running job says of itself, about once a second."""

    epoch: int
    epochs: int
    fraction: float
    images_per_s: float
    seconds_left: float
    terms: Mapping[str, float]
    metrics: Mapping[str, float]  # of the last evaluation, empty before it


@dataclass(frozen=True)
class Result:
    """The numbers of a complete job. `curve` has one mapping per evaluation."""

    key: str
    metrics: Mapping[str, float]  # AP, AP50, AP75, AR, mOKS, NME, params, gflops, train_images_per_s, losses ...
    curve: list[dict[str, float]]
    tags: Mapping[str, str]  # commit, machine, threads, precision, ranks, torch, finished
    folder: Path


def silent(_: Progress) -> None:
    """For callers that do not want to be told."""


def run(
    job: Job, machine: Machine, folder: Path, data: Path | None = None, tell: Callable[[Progress], None] = silent
) -> Result:
    """Trains and evaluates `job` in `folder`, from its checkpoint if there is one; a complete job is only read.

    Rendered data and cached features are shared by all jobs and lie beside the jobs' folder.

    Raises:
        Refused: the data set does not fit the job.
    """
    if not (folder / "result.json").exists():
        folder.mkdir(parents=True, exist_ok=True)
        _write(folder / "job.json", json.dumps(job.to_dict(defaults=True), indent=1))
        if machine.ranks > 1:
            open_source(job, 0, folder.parent.parent, data)  # what is wrong with it is said once, here
            distributed.start(machine.ranks, _work, job, machine, folder, data, tell)
        else:
            _work(job, machine, folder, data, tell)
    return read_result(folder)


def _work(job: Job, machine: Machine, folder: Path, data: Path | None, tell: Callable[[Progress], None]) -> None:
    """Trains; the first of several ranks also evaluates and writes."""
    source = open_source(job, machine.workers, folder.parent.parent, data, machine.device, machine.resident)
    state, checkpoint = TrainingState(job, machine, source.network), folder / "checkpoint.pt"
    if checkpoint.exists():
        state.load(checkpoint)
    curve = [line for line in _read_curve(folder) if line["epoch"] <= state.epoch]
    meter = _Meter(job, curve, tell)
    judged = None
    for tick in train(job, state, source.train, source.steps, machine):
        meter.add(tick)
        if tick.epoch_end and distributed.rank() == 0:
            speed = meter.speed()
            if tick.epoch % job.protocol.eval_every == 0 or tick.epoch == job.protocol.epochs:
                judged = evaluate_network(job, state.averaged, source, machine)
                curve.append(meter.line(tick, speed, dict(judged[0])))
                _write_curve(folder, curve)
            state.save(checkpoint)
        if tick.epoch_end:
            distributed.wait()  # a rank that went on alone would be a checkpoint ahead
            meter.start_epoch()
    if distributed.rank() == 0:
        # without one it was killed between the last epoch and the record
        _record(
            job, machine, folder, source, state, curve, judged or evaluate_network(job, state.averaged, source, machine)
        )


def _record(
    job: Job,
    machine: Machine,
    folder: Path,
    source: Source,
    state: TrainingState,
    curve: list[dict[str, float]],
    judged: tuple[Evaluation, list[Detections]],
) -> None:
    """The files of a complete job, `result.json` last."""
    evaluation, found = judged
    evaluation.records.save(folder / "records.npz")
    by_image = {one.image_id: one for one in found}
    shown = [picture for picture in source.pictures if picture.image_id in by_image]
    with write_whole(folder / "predictions.png") as part:
        part.write_bytes(cv2.imencode(".png", predictions(shown, [by_image[p.image_id] for p in shown]))[1].tobytes())
    with write_whole(folder / "weights.safetensors") as part:
        part.write_bytes(save({k: v.contiguous() for k, v in state.averaged.state_dict().items()}))
    costs = {**cost_metrics(job), **latency_metrics(job)}
    metrics = {**curve[-1], **dict(evaluation), **costs, "unreadable_images": float(len(source.unreadable))}
    result = {"key": job.key, "metrics": metrics, "tags": _tags(machine)}
    _write(folder / "result.json", json.dumps(result, indent=1))
    (folder / "checkpoint.pt").unlink(missing_ok=True)


def last_gain(curve: Sequence[Mapping[str, float]]) -> float | None:
    """AP gained over the last quarter of training: how far from flat a curve ends. None for a single point."""
    early = [line for line in curve if line["epoch"] <= 0.75 * curve[-1]["epoch"]]
    return curve[-1]["AP"] - early[-1]["AP"] if early else None


def read_result(folder: Path) -> Result:
    """The record of a complete job."""
    data = json.loads((folder / "result.json").read_text())
    return Result(data["key"], data["metrics"], _read_curve(folder), data["tags"], folder)


def evaluate_network(
    job: Job, network: Network, source: Source, machine: Machine
) -> tuple[Evaluation, list[Detections]]:
    """The network's evaluation on the validation images, and what it found there."""
    points = skeleton(job.variant.num_keypoints)
    evaluator = Evaluator(source.truth, points.sigmas, crowdpose=points is CROWDPOSE)
    found: list[Detections] = []
    for batch in source.validate():
        with machine.autocast():
            seen = detect(
                network,
                batch.to(machine.device).images,
                score_threshold=job.protocol.score_threshold,
                nms_threshold=job.protocol.nms_threshold,
                image_ids=batch.image_ids,
            )
        for one in map(source.restore, seen):
            evaluator.add(one)  # matched while the next batch is looked at
            found.append(one)
    return evaluator.result(), found


@dataclass
class _Meter:
    """Mean losses and speed of the epoch under way; tells at most once a second."""

    job: Job
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

    def _means(self) -> dict[str, float]:
        return {name: float(total) / self.steps for name, total in self.sums.items()}

    def _progress(self, tick: Tick) -> Progress:
        epochs = self.job.protocol.epochs
        done = tick.epoch + (not tick.epoch_end) * (tick.progress * epochs - tick.epoch)
        total = self.images / max(done - int(tick.progress * epochs - 1e-9), 1e-9) * (epochs - done)
        last = {k: v for k, v in self.curve[-1].items() if not k.startswith("loss")} if self.curve else {}
        speed = self.speed()
        return Progress(tick.epoch, epochs, tick.progress, speed, total / speed, self._means(), last)

    def line(self, tick: Tick, speed: float, metrics: Mapping[str, float]) -> dict[str, float]:
        """One line of the curve. `speed` was read before the evaluation, which is not part of it."""
        return {
            "epoch": float(tick.epoch),
            **metrics,
            **self._means(),
            "train_images_per_s": speed,
            "lr": tick.lr,
        }


def _tags(machine: Machine) -> dict[str, str]:
    precision = "bf16" if machine.bf16 else "float32"
    return result_tags(machine_name(machine.device), torch.get_num_threads(), precision, machine.ranks)


def _write(path: Path, text: str) -> None:
    with write_whole(path) as part:
        part.write_text(text)


def _read_curve(folder: Path) -> list[dict[str, float]]:
    path = folder / "curve.csv"
    if not path.exists():
        return []
    with path.open(newline="") as file:
        return [{k: float(v) for k, v in line.items() if v} for line in csv.DictReader(file)]


def _write_curve(folder: Path, curve: Iterable[Mapping[str, Any]]) -> None:
    lines = list(curve)
    names = list(dict.fromkeys(name for line in lines for name in line))
    text = [",".join(names)] + [",".join(str(line.get(n, "")) for n in names) for line in lines]
    _write(folder / "curve.csv", "\n".join(text) + "\n")
