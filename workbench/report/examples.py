"""What the rows' networks see: images from the best to the worst, and one person's 1-D heatmaps.

Networks are rebuilt from the folders of complete jobs and run on the chosen images only, in float32 on the CPU.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from workbench.components.similarity import box_iou
from workbench.data.draw import draw_detections, draw_sample
from workbench.evaluation.records import MatchRecords
from workbench.experiments.plan import StudyRun
from workbench.models.decode import keep
from workbench.models.network import gather
from workbench.report.networks import detections_of, most_rows, network_of
from workbench.report.record import Record
from workbench.study import PlannedJob
from workbench.tensors import Array, Axis, Batch, Detections
from workbench.training.source import Validation, validation

SHOWN = 6  # images
POINTS = 2  # key points whose heatmaps are drawn
OVERLAP = 0.5  # IoU of a box with a person that counts as found
MARGIN = 0.3  # of the person's box, around it


@dataclass(frozen=True)
class Example:
    """An image as pictures (BGR) with persons drawn on it; `quality`: the mean OKS of its persons, by row."""

    truth: NDArray[np.uint8]
    found: Mapping[str, NDArray[np.uint8]]
    quality: Mapping[str, float]


@dataclass(frozen=True)
class AxisProfile:
    """What one row says of a person: key points (K, 2), and bins (W,) with probabilities (K, W) where it has them."""

    keypoints: Array
    x_bins: Array | None = None
    x_prob: Array | None = None
    y_bins: Array | None = None
    y_prob: Array | None = None

    def of(self, points: Sequence[int]) -> AxisProfile:
        """Only these key points."""
        chosen = list(points)
        x, y = (None if p is None else p[chosen] for p in (self.x_prob, self.y_prob))
        return replace(self, keypoints=self.keypoints[chosen], x_prob=x, y_prob=y)


@dataclass(frozen=True)
class Person:
    """One person and few of the key points, in pixels of the network input.

    Fields:
        image: BGR; window: x1, y1, x2, y2 of what is worth showing.
        names, truth: of the key points, (K, 2); rows: what each row says of them.
    """

    image: NDArray[np.uint8]
    window: tuple[float, float, float, float]
    names: tuple[str, ...]
    truth: Array
    rows: Mapping[str, AxisProfile]

    def errors(self, label: str) -> list[float]:
        """Pixels between a row's answer and the truth, by key point."""
        return [float(d) for d in np.hypot(*(self.rows[label].keypoints - self.truth).T)]


@dataclass(frozen=True)
class Panel:
    """One run per row, all of the same seed and trunk, with the images that they were judged on."""

    seed: int
    trunk: str
    folders: Mapping[str, Path]
    judged: Validation


def panel(record: Record) -> Panel | None:
    """The seed and trunk with runs of most rows here, the first of equals; None where fewer than two rows are."""
    here = [(one, record.folders[one.job.key]) for one in record.jobs if one.job.key in record.folders]
    return panel_of(here, record.run)


def panel_of(here: Sequence[tuple[PlannedJob, Path]], run: StudyRun) -> Panel | None:
    """The same of complete jobs of a study and their folders."""
    if (found := most_rows(here)) is None:
        return None
    seed, trunk, folders = found
    job = next(one.job for one, folder in here if folder in folders.values())
    order = {row.label: folders[row.label] for row in run.study.rows if row.label in folders}
    return Panel(seed, trunk, order, validation(job, run.home, run.data))


def _quality(records: Mapping[str, MatchRecords]) -> tuple[Any, Any]:
    """(images,) numbers of the images with a person, and (rows, images) the mean OKS of their persons."""
    first = next(iter(records.values()))
    there = first.oks_count > 0
    return first.image_ids[there], np.stack([r.oks_sum[there] / r.oks_count[there] for r in records.values()])


def disagreement(records: Mapping[str, MatchRecords]) -> list[int]:
    """Image numbers with a person, by how far apart the rows' mean OKS of their persons is, widest first."""
    images, quality = _quality(records)
    return images[np.argsort(-np.ptp(quality, axis=0), kind="stable")].tolist()


def over_range(records: Mapping[str, MatchRecords], count: int) -> list[int]:
    """Image numbers from the one that the rows together do best to the one they do worst, at even ranks."""
    images, quality = _quality(records)
    order = np.argsort(-quality.mean(0), kind="stable")
    return images[order[np.linspace(0, len(order) - 1, min(count, len(order))).round().astype(int)]].tolist()


def find_examples(chosen: Panel, count: int = SHOWN) -> list[Example]:
    """Images over the whole range of quality, best first, with what each row finds."""
    records = {label: MatchRecords.load(folder / "records.npz") for label, folder in chosen.folders.items()}
    images = over_range(records, count)
    found = {label: found_on(folder, chosen.judged, images) for label, folder in chosen.folders.items()}
    return [_example(chosen.judged, image, found, records) for image in images]


def image_batch(judged: Validation, images: Sequence[int]) -> Batch:
    """These images as one network input, in the given order."""
    whole = judged.protocol.vary({"batch": len(images), "accumulate": 1})
    loader = replace(judged, protocol=whole).loader(rows=places(judged, images))
    (batch,) = loader(0)
    return batch


def found_on(folder: Path, judged: Validation, images: Sequence[int]) -> dict[int, Detections]:
    """What the network of a complete folder finds on images, by their numbers, in their own pixels."""
    return {one.image_id: one for one in detections_of(folder, judged, places(judged, images))}


def places(judged: Validation, images: Sequence[int]) -> list[int]:
    """Where images stand among the validation images, by their numbers."""
    rows = {image["id"]: i for i, image in enumerate(judged.truth["images"])}
    return [rows[image] for image in images]


def _example(
    judged: Validation, image: int, found: Mapping[str, Mapping[int, Detections]], records: Mapping[str, MatchRecords]
) -> Example:
    sample = judged.samples[places(judged, [image])[0]]
    pictures, quality = {}, {}
    for label, detections in found.items():
        one, match = detections[image], records[label]
        pictures[label] = draw_detections(sample, one, print_scores=False)
        at = int(np.flatnonzero(match.image_ids == image)[0])
        quality[label] = float(match.oks_sum[at] / match.oks_count[at])
    return Example(draw_sample(sample), pictures, quality)


# -------------------------------------------------------------------------------------------------------- heatmaps


def person(chosen: Panel, count: int = SHOWN, points: int = POINTS, least: float = OVERLAP) -> Person | None:
    """Of the persons on these images, the one on whom the rows' errors differ most; None where no row finds one.

    Only persons that every row finds with a box of IoU `least` count; of their visible key points those that the rows
    place least alike are kept.
    """
    records = {label: MatchRecords.load(folder / "records.npz") for label, folder in chosen.folders.items()}
    batch = image_batch(chosen.judged, disagreement(records)[:count])
    said = {label: axis_profiles(folder, batch, least) for label, folder in chosen.folders.items()}
    t = batch.targets
    everyone = [(i, g) for i, g in t.present.nonzero().tolist() if all((i, g) in rows for rows in said.values())]
    if not everyone:
        return None

    def errors(spot: tuple[int, int]) -> Any:  # (rows, K), 0 where a point is not visible
        truth = t.keypoints[spot].numpy()
        distance = [np.hypot(*(rows[spot].keypoints - truth).T) for rows in said.values()]
        return np.stack(distance) * t.visible[spot].numpy()

    spot = max(everyone, key=lambda s: float(np.ptp(errors(s).mean(1)) / t.areas[s].sqrt()))
    kept = np.argsort(-np.ptp(errors(spot), axis=0), kind="stable")[:points].tolist()
    names = chosen.judged.skeleton.keypoints
    image = batch.images[spot[0]].permute(1, 2, 0).numpy().round().astype(np.uint8)
    return Person(
        image=image,
        window=_window(t.boxes[spot].numpy(), image.shape[1], image.shape[0]),
        names=tuple(names[k] for k in kept),
        truth=t.keypoints[spot].numpy()[kept],
        rows={label: rows[spot].of(kept) for label, rows in said.items()},
    )


def _window(box: Any, width: int, height: int) -> tuple[float, float, float, float]:
    """A square around the box with a margin, inside the image as far as it goes."""
    side = min(float(max(box[2] - box[0], box[3] - box[1])) * (1 + 2 * MARGIN), min(width, height))
    left, top = (
        float(np.clip((box[i] + box[i + 2] - side) / 2, 0, end - side)) for i, end in ((0, width), (1, height))
    )
    return left - 0.5, top - 0.5, left + side - 0.5, top + side - 0.5


@torch.no_grad()
def axis_profiles(folder: Path, batch: Batch, least: float) -> dict[tuple[int, int], AxisProfile]:
    """What a row says of each person (image, person) that it finds: of the best box of IoU `least` and more."""
    job, network = network_of(folder)
    dense = network(batch.images)
    kept = keep(dense, job.protocol.score_threshold, job.protocol.nms_threshold)
    cells = gather(dense, kept.image, kept.cell)
    said = network.coords(cells)
    profiles: dict[tuple[int, int], AxisProfile] = {}
    for i, g in batch.targets.present.nonzero().tolist():
        overlap = box_iou(cells.boxes, batch.targets.boxes[i, g].expand_as(cells.boxes)) * (kept.image == i)
        if not len(overlap) or overlap.max() < least:
            continue
        p = int(overlap.argmax())
        x, y = _axis(said.x, p), _axis(said.y, p)
        profiles[i, g] = AxisProfile(said.keypoints[p].numpy(), *x, *y)
    return profiles


def _axis(axis: Axis | None, p: int) -> tuple[Array | None, Array | None]:
    return (None, None) if axis is None else (axis.bins[p].numpy(), axis.prob[p].numpy())
