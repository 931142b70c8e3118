"""Input size x bins x precision x runtime of one trained network: AP, multiply-adds and time of each, without training.

    found = measure_sizes(load_trained("runs/jobs/KEY"), settings, Judging(home), Timing(threads=2))

All settings see the same images, so a difference in AP to the network's own setting is paired: its interval over images
is far narrower than that of either AP, and says which saving is free within the noise. It speaks of this network alone.
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from workbench.core.errors import Refused
from workbench.data.datasets.folder import dataset_fingerprint, dataset_keypoints, open_dataset
from workbench.data.datasets.images import Unreadable
from workbench.data.transforms.pipelines import EvaluationPipeline
from workbench.evaluation.bootstrap import Resampled, paired_bootstrap, resample
from workbench.evaluation.intervals import Interval
from workbench.experiments.size_settings import Bins, Setting, with_bins
from workbench.inference import cost
from workbench.inference.deployed import Deployed, Selection, detections
from workbench.inference.latency import TimingTask, with_persons
from workbench.inference.load import Trained
from workbench.inference.runtimes import FILE_RUNTIMES, RUNTIMES, TYPES, file_call, file_session, onnx_file
from workbench.inference.timing import Call, Comparison, Estimate, Patience, allowed_cores, measure, quietest
from workbench.models.decode import detect
from workbench.models.job import Job, Protocol
from workbench.models.network import Network
from workbench.tensors import Batch, Detections
from workbench.training.source import Validation, validation
from workbench.training.validate import evaluate_batches

JUDGED = ("AP", "mOKS")  # with a difference to the own setting each
_CALIBRATION = 64  # images for the ranges of int8, of the training part
PIXELS = 16 * 640 * 640  # of a batch, at most: what a laptop's memory holds
_TWIN = "the own setting again"
_Picture = NDArray[np.uint8]
Say = Callable[[str], None]
FindPersons = Callable[[Tensor], list[Detections]]  # in images (B, 3, H, W)


@dataclass(frozen=True)
class Judging:
    """On which images: the evaluation part of the data set in a folder, or the scenes that the network was judged on.

    `home` keeps rendered scenes; `images` is how many, the first ones; 0 is as many as in training, or all of a folder.
    """

    home: Path
    data: Path | None = None
    images: int = 0


@dataclass(frozen=True)
class Timing:
    """How it is timed: see `TimingTask` and `measure`."""

    persons: int = cost.PERSONS
    threads: int = 2
    seconds: int = 60
    anyway: bool = False


@dataclass(frozen=True)
class SizeReading:
    """One setting. `values` and `differences` (to the own setting, paired) by metric; gflops are 10^9 multiply-adds."""

    setting: Setting
    gflops: float
    ms: Estimate
    ratio: Estimate
    values: Mapping[str, float]
    differences: Mapping[str, Interval]


@dataclass(frozen=True)
class SizesMeasured:
    """All settings, the own one first, and what the numbers are of.

    Fields:
        source, data: what the network came from, and what it was judged on; images: how many, unreadable: of which not.
        persons: found in the image that is timed; threads: of the CPU; conditions: of the timing, in a line.
        slack: how far from 1 a ratio of times may be that is 1, as a share.
    """

    source: str
    data: str
    images: int
    unreadable: int
    persons: int
    threads: int
    conditions: str
    slack: float
    readings: tuple[SizeReading, ...]

    @property
    def own(self) -> SizeReading:
        return self.readings[0]


def measure_sizes(
    trained: Trained, settings: Sequence[Setting], judging: Judging, timing: Timing, say: Say = lambda _: None
) -> SizesMeasured:
    """Times all settings side by side, the own one being the first, and then evaluates each.

    Args:
        say: is told in a line how far it is.

    Raises:
        Refused: no data, or data that do not fit the network; fewer cells than persons; a busy machine.
    """
    for size in {setting.size for setting in settings}:
        with_persons(trained.network, TimingTask(size, timing.persons))
    quietest(allowed_cores(), timing.threads, timing.anyway)
    judged = judged_images(trained, judging)
    networks = {grid: with_bins(trained.network, grid) for grid in dict.fromkeys(s.bins for s in settings)}
    say(f"{len(settings)} settings on {len(judged.samples):,} images of {judged.protocol.data}; first their times")
    timed = _timed(networks, settings, timing)
    with tempfile.TemporaryDirectory() as folder:
        ways = _Ways(networks, judged.protocol, _Pictures(trained, judging.data), Path(folder), timing.threads)
        values, drawn, unreadable = _evaluated(ways, settings, judged, say)
    readings = [
        SizeReading(
            setting,
            cost.flops(networks[setting.bins].variant, setting.size, timing.persons, counter="torch").total / 1e9,
            timed.milliseconds(str(setting)),
            timed.ratio(str(setting)),
            values[i],
            {metric: paired_bootstrap([drawn[0][metric]], [drawn[i][metric]]) for metric in JUDGED},
        )
        for i, setting in enumerate(settings)
    ]
    return SizesMeasured(
        trained.source,
        judged.protocol.data,
        len(judged.samples),
        unreadable,
        timing.persons,
        timing.threads,
        timed.conditions(),
        _slack(timed),
        tuple(readings),
    )


# The images


def judged_images(trained: Trained, judging: Judging) -> Validation:
    """The images on an input of the network's own size.

    Raises:
        Refused: there are none, or they have other key points.
    """
    job = trained.job or Job(variant=trained.network.variant)
    if judging.data is None and not (trained.job and job.protocol.scenes):
        raise Refused(f"{trained.source}: it was not trained on embedded scenes; add --data FOLDER to judge it on")
    protocol = replace(job.protocol, size=trained.size)
    if judging.data is not None:
        _check_keypoints(trained, judging.data)
        data = dataset_fingerprint(judging.data)
        mine = protocol.eval_images if data == protocol.data else 0
        protocol = replace(protocol, data=data, trunk="", eval_images=mine)
    protocol = replace(protocol, eval_images=judging.images or protocol.eval_images)
    return validation(replace(job, protocol=protocol), judging.home, judging.data)


def _check_keypoints(trained: Trained, data: Path) -> None:
    mine, theirs = trained.network.variant.skeleton, dataset_keypoints(data).skeleton
    if mine.keypoints != theirs.keypoints:
        raise Refused(
            f"--data {data}: it has {len(theirs)} key points ({theirs.name}), {trained.source} finds {len(mine)} "
            f"({mine.name}); give a folder with these"
        )


class _Pictures:
    """Images of the training part, fitted to the network's own size: for the ranges of int8 alone."""

    def __init__(self, trained: Trained, data: Path | None) -> None:
        self.trained, self.data = trained, data

    def __iter__(self) -> Iterator[_Picture]:
        from workbench.inference import onnx_export

        if self.data is None:
            yield from onnx_export.scenes(self.trained, _CALIBRATION)
            return
        train, fit = open_dataset(self.data, "train"), EvaluationPipeline(size=self.trained.size)
        for i in range(min(_CALIBRATION, len(train))):
            with suppress(Unreadable):
                image: Any = fit(train, i, np.random.default_rng(0)).image
                yield image


# Time


def _timed(networks: Mapping[Bins | None, Network], settings: Sequence[Setting], timing: Timing) -> Comparison:
    """All settings side by side, and the first of them twice."""
    with tempfile.TemporaryDirectory() as folder:
        calls = {str(s): _call(networks[s.bins], s, timing, Path(folder)) for s in settings}
        calls[_TWIN] = _call(networks[settings[0].bins], settings[0], timing, Path(folder))
    patience = Patience(seconds=timing.seconds)
    return measure(calls, str(settings[0]), threads=timing.threads, patience=patience, anyway=timing.anyway)


def _call(network: Network, setting: Setting, timing: Timing, folder: Path) -> Call:
    """One image, from network to key points. Of an ONNX file there is one for all sizes: writing takes long."""
    task = TimingTask(setting.size, timing.persons, timing.threads)
    if setting.runtime not in FILE_RUNTIMES:
        return RUNTIMES[setting.runtime].prepare(network, task, setting.precision)
    place = folder / f"bins{setting.grid}"
    place.mkdir(exist_ok=True)
    return file_call(setting.runtime, onnx_file(network, task, setting.precision, place), task)


def _slack(timed: Comparison) -> float:
    """How far the same network twice may be from 1, as timing studies have it."""
    twin = timed.ratio(_TWIN)
    return max(twin.high, 1 / twin.low if twin.low > 0 else math.inf) - 1


# AP


def _evaluated(
    ways: _Ways, settings: Sequence[Setting], judged: Validation, say: Say
) -> tuple[list[dict[str, float]], list[dict[str, Resampled]], int]:
    """Of each setting: its values and its draws by metric. Last, how many images can not be read."""
    values, drawn, unreadable = list[dict[str, float]](), list[dict[str, Resampled]](), 0
    for number, setting in enumerate(settings, start=1):
        here = within_memory(judged.at(setting.size))
        loader, find = here.loader(), ways.find(setting)
        evaluation, _ = evaluate_batches(_on_batches(find), loader(0), here)
        unreadable = len(loader.unreadable)
        values.append({metric: evaluation[metric] for metric in JUDGED})
        drawn.append({metric: resample(evaluation.records, metric) for metric in JUDGED})
        say(f"{number} of {len(settings)}: {setting}: AP {100 * evaluation['AP']:.1f}")
    return values, drawn, unreadable


def within_memory(judged: Validation) -> Validation:
    """The same images in batches of at most `PIXELS` pixels."""
    protocol = judged.protocol
    most = max(PIXELS // math.prod(protocol.size), 1)
    return replace(judged, protocol=replace(protocol, batch=min(protocol.batch, most), accumulate=1))


def _on_batches(find: FindPersons) -> Callable[[Batch], list[Detections]]:
    def found(batch: Batch) -> list[Detections]:
        persons = find(batch.images)
        return [replace(one, image_id=i) for one, i in zip(persons, batch.image_ids, strict=True)]

    return found


class _Ways:
    """Ways to run the network, by setting; files are written once, whatever the size of the input."""

    def __init__(
        self,
        networks: Mapping[Bins | None, Network],
        protocol: Protocol,
        pictures: _Pictures,
        folder: Path,
        threads: int,
    ) -> None:
        self.networks, self.pictures, self.folder, self.threads = networks, pictures, folder, threads
        self.score, self.nms = protocol.score_threshold, min(protocol.nms_threshold, 1.0)

    def find(self, setting: Setting) -> FindPersons:
        network = self.networks[setting.bins]
        way = self._from_file if setting.runtime in FILE_RUNTIMES else self._torch
        way = self._eager if setting.runtime == "eager" else way
        return way(network, setting)

    def _eager(self, network: Network, setting: Setting) -> FindPersons:
        dtype = TYPES[setting.precision]

        def find(images: Tensor) -> list[Detections]:
            with torch.autocast("cpu", dtype, enabled=dtype != torch.float32):
                return detect(network, images, score_threshold=self.score, nms_threshold=self.nms)

        return find

    def _torch(self, network: Network, setting: Setting) -> FindPersons:
        deployed = self._deployed(network, TYPES[setting.precision])

        def find(images: Tensor) -> list[Detections]:
            dets, keypoints = deployed(images)
            return detections(dets.numpy(), keypoints.numpy())

        return find

    def _from_file(self, network: Network, setting: Setting) -> FindPersons:
        session = file_session(setting.runtime, self._file(network, setting), self.threads)
        return lambda images: detections(*session(images.numpy()))

    def _file(self, network: Network, setting: Setting) -> Path:
        from workbench.inference import onnx_export

        plain, small = (self.folder / f"bins{setting.grid}_{name}.onnx" for name in ("float32", "int8"))
        if not plain.exists():
            onnx_export.write_onnx(self._deployed(network, torch.float32), plain, {})
        if setting.precision == "int8" and not small.exists():
            onnx_export.quantise(plain, small, map(onnx_export.as_input, self.pictures))
        return small if setting.precision == "int8" else plain

    def _deployed(self, network: Network, dtype: torch.dtype) -> Deployed:
        return Deployed(network, Selection(score_threshold=self.score, nms_threshold=self.nms), dtype)
