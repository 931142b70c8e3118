"""What a job trains and is judged on: embedded scenes or a data set on disk, as batches.

With a frozen trunk the batches hold its features in place of images; nothing else changes.
"""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from workbench.core.augmentation import augmentation
from workbench.core.distributed import rank, world
from workbench.core.errors import DataFault, Refused
from workbench.core.keypoints import Skeleton
from workbench.core.skeletons import SKELETONS
from workbench.data.datasets.annotations import EvaluationRules
from workbench.data.datasets.folder import dataset_classes, dataset_fingerprint, dataset_keypoints, open_dataset
from workbench.data.datasets.images import Unreadable
from workbench.data.loader import RESIZE, Loader, Transform, as_float, generator, random_resize
from workbench.data.resident import ToDevice, on_gpu, placed
from workbench.data.synthetic.dataset import SyntheticScenes, cache_name, cached
from workbench.data.transforms import pipelines
from workbench.data.transforms.geometry import Letterbox
from workbench.models.job import Job, Protocol, phase_at
from workbench.models.network import Network
from workbench.models.trunk import Features, features, file_trunk, on_trunk, trunk_identity
from workbench.tensors import Batch, Detections, Sample

VALIDATION = 10_000_000  # first scene of the validation part: far from every training scene
FEATURES_AT_ONCE = 8  # images at a time whose features are computed, at the sizes of real ones
PICTURES = 9  # validation images that are drawn with what was found


@dataclass(frozen=True)
class Source:
    """The data of one job.

    Fields:
        train: `train(epoch)` gives `steps` batches, the same ones each time it is asked.
        validate: the validation images in order; truth: their COCO dict; pictures: the first of them.
        skeleton, evaluation: the data set's key points and the rules of its evaluation.
        restore: maps detections back to pixels of the original image.
        network: the network on its frozen trunk, where there is one.
        unreadable: image files that could not be read so far, with the reason.
    """

    train: Callable[[int], Iterable[Batch]]
    steps: int
    validate: Callable[[], Iterator[Batch]]
    truth: dict[str, Any]
    skeleton: Skeleton
    evaluation: EvaluationRules
    pictures: Sequence[Sample]
    restore: Callable[[Detections], Detections] = lambda found: found
    network: Network | None = None
    unreadable: dict[str, str] = field(default_factory=dict)


def open_source(
    job: Job, workers: int, home: Path, data: Path | None = None, device: str = "cpu", resident: float = 0.0
) -> Source:
    """Opens and checks the data of a job; renders scenes and computes features where they are not cached yet.

    Args:
        device: where the images of its batches are to be.
        resident: share of that device's free memory that the training images may stay in.

    Raises:
        Refused: the data set is missing, broken or not the one that the job was declared with.
    """
    judged = validation(job, home, data)
    if job.protocol.scenes:
        return _on_scenes(job, workers, home, judged, device, resident)
    assert data is not None  # else the validation images were refused
    return _on_folder(job, workers, data, judged, device, resident, home)


@dataclass(frozen=True)
class Validation:
    """What a job is judged on, without what it trains on.

    Fields:
        samples: the images in their own pixels, in order; truth: their COCO dict.
        skeleton, evaluation: as of `Source`.
        fit: makes a network input of one; restore: as of `Source`.
    """

    protocol: Protocol
    samples: Sequence[Sample]
    truth: dict[str, Any]
    skeleton: Skeleton
    evaluation: EvaluationRules
    fit: Transform | None = None
    restore: Callable[[Detections], Detections] = lambda found: found

    def loader(self, workers: int = 0, rows: list[int] | None = None, device: str = "cpu") -> Loader:
        """Network inputs of all images, or of those at `rows`, on a device."""
        chosen = self.samples if rows is None else _Chosen(self.samples, rows)
        return _judging(self.protocol, chosen, workers, self.fit, device)

    def at(self, size: tuple[int, int]) -> Validation:
        """The same images on an input of another size (height, width), whole and centred."""
        if size == self.protocol.size:
            return self
        protocol, fit = replace(self.protocol, size=size), pipelines.EvaluationPipeline(size=size)
        return replace(self, protocol=protocol, fit=fit, restore=_Restore(self.truth, size))


def validation(job: Job, home: Path, data: Path | None = None) -> Validation:
    """Opens the validation images of a job; embedded scenes are rendered where they are not cached yet.

    Raises:
        Refused: as `open_source`.
    """
    protocol = job.protocol
    if protocol.scenes:
        judged: Any = cached(_scenes(protocol)[1], home / "data")
        check_keypoints(job, judged.skeleton, "the embedded data set")
        return Validation(protocol, judged, judged.coco(), judged.skeleton, judged.evaluation)
    if data is None:
        raise Refused(f"the job wants data set {protocol.data}, but no folder was given; add --data FOLDER")
    if (found := dataset_fingerprint(data)) != protocol.data:
        raise DataFault(f"{data} holds {found}, but the job was declared with {protocol.data}")
    check_keypoints(job, dataset_keypoints(data).skeleton, str(data))
    check_classes(job, dataset_classes(data).names, str(data))
    val = open_dataset(data, "val")
    truth = _first(val.coco(), protocol.eval_images)
    shown = {image["id"] for image in truth["images"]}
    chosen = _Chosen(val, [i for i, image in enumerate(val.image_ids) if image in shown])
    fit, restore = pipelines.EvaluationPipeline(size=protocol.size), _Restore(truth, protocol.size)
    return Validation(protocol, chosen, truth, val.skeleton, val.evaluation, fit, restore)


def check_keypoints(job: Job, skeleton: Skeleton, where: str) -> None:
    """Refuses a job whose network finds other key points than the data set has: by name, whatever their number."""
    mine = job.variant.skeleton
    if mine == skeleton:
        return
    if mine.name == skeleton.name and len(mine) == len(skeleton):
        parts = [
            part for part in ("keypoints", "sigmas", "flip", "limbs") if getattr(mine, part) != getattr(skeleton, part)
        ]
        raise Refused(
            f"{where}: the variant's key points ({mine.name}) have other {', '.join(parts)} than the data set's"
        )
    named = f" --set variant.keypoint_set={skeleton.name}" * (skeleton.name in SKELETONS)
    raise Refused(
        f"{where} has {len(skeleton)} key points ({skeleton.name}), the variant {len(mine)} ({mine.name}): "
        + (f"add --set variant.num_keypoints={len(skeleton)}{named}" if named else "leave out what sets the variant's")
    )


def check_classes(job: Job, classes: Sequence[str], where: str) -> None:
    """Refuses a job whose network tells another number of classes apart than the data set has."""
    mine = job.variant.num_classes
    if mine != len(classes):
        raise Refused(
            f"{where} has {len(classes)} {'class' if len(classes) == 1 else 'classes'} ({', '.join(classes)}), the "
            f"variant {mine}: leave out --set variant.num_classes={mine}, or set it to {len(classes)}"
        )


def _pipelines(protocol: Protocol) -> tuple[Transform | None, Transform | None]:
    """The augmentation of the main phases and of the final one."""
    if protocol.augment == "none" and protocol.scenes:
        return None, None  # every scene has the size of the input and labelled persons only
    chosen = augmentation(protocol.augment)
    main = pipelines.Pipeline(size=protocol.size, steps=chosen.main)
    return main, pipelines.Pipeline(size=protocol.size, steps=chosen.final, ignore=chosen.ignore)


class _Training:
    """The training batches of an epoch, under the augmentation of the phase that the epoch lies in."""

    def __init__(
        self, job: Job, samples: Sequence[Sample], finish: ToDevice, workers: int, device: str = "cpu"
    ) -> None:
        self.job, protocol = job, job.protocol
        self.unreadable: dict[str, str] = {}
        self._loaders = [
            Loader(
                samples,
                protocol.batch // protocol.accumulate // world(),
                seed=job.seed,
                transform=transform,
                workers=workers,
                images=protocol.epoch_images or None,
                rank=rank(),
                world=world(),
                finish=finish,
                pinned=on_gpu(device),
            )
            for transform in _pipelines(protocol)
        ]

    def __len__(self) -> int:
        return len(self._loaders[0])

    def __call__(self, epoch: int) -> Iterator[Batch]:
        phase = self.job.variant.phases[phase_at(self.job, epoch / self.job.protocol.epochs)]
        loader = self._loaders[phase.final]
        yield from loader(epoch)
        self.unreadable.update(loader.unreadable)


def _judging(
    protocol: Protocol,
    samples: Sequence[Sample],
    workers: int,
    fit: Transform | None = None,
    device: str = "cpu",
) -> Loader:
    return Loader(
        samples,
        min(protocol.batch, 64),
        seed=0,
        transform=fit,
        workers=workers,
        shuffle=False,
        drop_last=False,
        finish=partial(as_float, device=device),
        pinned=on_gpu(device),
    )


def _scenes(protocol: Protocol) -> tuple[SyntheticScenes, SyntheticScenes]:
    """The embedded scenes to train on and to be judged on."""
    level, size = protocol.scenes, protocol.size[0]
    train = SyntheticScenes(level, size, count=protocol.images, start=protocol.first_image)
    return train, SyntheticScenes(level, size, count=protocol.eval_images, start=VALIDATION)


def _on_scenes(job: Job, workers: int, home: Path, judged: Validation, device: str, resident: float) -> Source:
    protocol = job.protocol
    train, val = _scenes(protocol)
    scenes: Any = cached(train, home / "data")
    truth, pictures = judged.truth, [judged.samples[i] for i in range(min(PICTURES, len(judged.samples)))]
    if not protocol.trunk:
        loader = _Training(job, *placed(scenes, device, resident, workers), workers, device)
        judge = judged.loader(workers, device=device)
        return Source(
            loader,
            len(loader),
            lambda: judge(0),
            truth,
            judged.skeleton,
            judged.evaluation,
            pictures,
            unreadable=loader.unreadable,
        )
    network = on_trunk(job, home)
    kept = [_kept(network, job, f, s, home) for f, s in ((train, scenes), (val, judged.samples))]
    loader, judge = (
        _Training(job, _Labels(scenes), as_float, workers),
        _judging(protocol, _Labels(judged.samples), workers),
    )
    return Source(
        lambda epoch: _with_features(loader(epoch), kept[0]),
        len(loader),
        lambda: _with_features(judge(0), kept[1]),
        truth,
        judged.skeleton,
        judged.evaluation,
        pictures,
        network=network,
    )


def _kept(network: Network, job: Job, scenes: SyntheticScenes, images: Sequence[Sample], home: Path) -> Features:
    every = Loader(images, 100, seed=0, shuffle=False, drop_last=False)
    path = home / "features" / f"{_identity(job)}-{cache_name(scenes)}.safetensors"
    return features(network, lambda: every(0), scenes.start, path)


def _identity(job: Job) -> str:
    """Of the trunk as it is now."""
    name, _, digest = job.protocol.trunk.partition("@")
    return job.protocol.trunk if job.protocol.trunk == file_trunk(digest) else trunk_identity(name)


def _features_of_folder(
    network: Network, job: Job, part: str, samples: Sequence[Sample], fit: Transform | None, home: Path
) -> Features:
    """Of every image that can be read, as it is fitted to the network's input."""
    every = Loader(samples, FEATURES_AT_ONCE, seed=0, transform=fit, shuffle=False, drop_last=False)
    height, width = job.protocol.size
    name = f"{_identity(job)}-{job.protocol.data}-{part}-{height}x{width}.safetensors"
    return features(network, lambda: every(0), 0, home / "features" / name)


class _Labels(Sequence[Sample]):
    """The samples without their pixels, which the features stand for."""

    def __init__(self, samples: Sequence[Sample]) -> None:
        self.samples = samples

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: Any) -> Any:
        return replace(self.samples[index], image=np.zeros((32, 32, 3), np.uint8))


def _with_features(batches: Iterable[Batch], kept: Features) -> Iterator[Batch]:
    for batch in batches:
        yield replace(batch, images=kept(batch.image_ids))


def _on_folder(
    job: Job, workers: int, folder: Path, judged: Validation, device: str, resident: float, home: Path
) -> Source:
    train = open_dataset(folder, "train")
    loader = _Training(job, *placed(train, device, resident, workers), workers, device)
    judge = judged.loader(workers, device=device)
    network = on_trunk(job, home) if job.protocol.trunk else None
    kept: Sequence[Features] = ()
    if network is not None:
        fit = _pipelines(job.protocol)[0]
        kept = [
            _features_of_folder(network, job, "train", train, fit, home),
            _features_of_folder(network, job, "val", judged.samples, judged.fit, home),
        ]
    return Source(
        lambda epoch: _seen(_resized(loader(epoch), job.seed, epoch, job.protocol), kept[:1]),
        len(loader),
        lambda: _seen(_counted(judge, loader.unreadable), kept[1:]),
        judged.truth,
        judged.skeleton,
        judged.evaluation,
        list(itertools.islice(_readable(judged.samples), PICTURES)),
        restore=judged.restore,
        network=network,
        unreadable=loader.unreadable,
    )


def _seen(batches: Iterable[Batch], kept: Sequence[Features]) -> Iterator[Batch]:
    """The batches, with features in place of images where there are some."""
    return _with_features(batches, kept[0]) if kept else iter(batches)


def _counted(judge: Loader, unreadable: dict[str, str]) -> Iterator[Batch]:
    """The validation batches; files that could not be read are added to `unreadable`."""
    yield from judge(0)
    unreadable.update(judge.unreadable)


def _readable(samples: Sequence[Sample]) -> Iterator[Sample]:
    for i in range(len(samples)):
        with contextlib.suppress(Unreadable):  # counted when it is judged
            yield samples[i]


def _first(truth: dict[str, Any], count: int) -> dict[str, Any]:
    """The first images of a COCO dict and their annotations; all for 0."""
    images = truth["images"][: count or None]
    ids = {image["id"] for image in images}
    return {**truth, "images": images, "annotations": [a for a in truth["annotations"] if a["image_id"] in ids]}


class _Chosen(Sequence[Sample]):
    def __init__(self, samples: Sequence[Sample], rows: list[int]) -> None:
        self.samples, self.rows = samples, rows

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: Any) -> Any:
        return self.samples[self.rows[index]]


class _Restore:
    def __init__(self, truth: dict[str, Any], size: tuple[int, int]) -> None:
        self.sides = {image["id"]: (image["height"], image["width"]) for image in truth["images"]}
        self.size = size

    def __call__(self, found: Detections) -> Detections:
        return Letterbox.of(self.sides[found.image_id], self.size).detections_back(found)


def _resized(batches: Iterable[Batch], seed: int, epoch: int, protocol: Protocol) -> Iterator[Batch]:
    """A random size for each step but the very first, the same on every rank."""
    for step, batch in enumerate(batches):
        first = epoch == step == 0
        if first or not protocol.sides[0]:
            yield batch
        else:
            yield random_resize(batch, *protocol.sides, generator(seed, epoch, RESIZE, step))
