"""Two runs beside each other, image by image: what one network is ahead of another, on the same images.

The interval is over images: what other images of this kind would say of these two networks. What other seeds would
say, two runs can not tell; a study can.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from workbench.core.errors import Refused
from workbench.data.datasets.folder import open_dataset
from workbench.evaluation.intervals import Interval
from workbench.evaluation.metrics import METRICS
from workbench.evaluation.records import MatchRecords
from workbench.experiments.comparison import difference
from workbench.experiments.pairing import Pair
from workbench.experiments.readings import is_known, resampled_run, value_of
from workbench.models.job import Job
from workbench.models.weight_file import job_in
from workbench.training.record import Result, arithmetic_of, read_result

UNLIKE = 10  # images of the list


@dataclass(frozen=True)
class MetricOfTwo:
    """A metric of both runs.

    Fields:
        low, high: of the difference, second minus first, with 95 %, over images; nan where it has no interval.
        ahead: the run that is better, "first" or "second", where the interval leaves 0 out; else "".
    """

    metric: str
    first: float
    second: float
    difference: float
    low: float
    high: float
    ahead: str


@dataclass(frozen=True)
class UnlikeImage:
    """An image that the runs do not agree on.

    Fields:
        image: its id; file: its name, where it is known.
        first, second: mean OKS of the best detection of each of its persons.
    """

    image: int
    file: str
    persons: int
    first: float
    second: float


@dataclass(frozen=True)
class TwoRuns:
    """
    Fields:
        data: what both are judged on, images: how many. notes: what else differs and may stand behind a difference.
    """

    first: str
    second: str
    data: str
    images: int
    metrics: tuple[MetricOfTwo, ...]
    unlike: tuple[UnlikeImage, ...]
    notes: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def compare_runs(first: Path, second: Path, data: Path | None = None) -> TwoRuns:
    """Two folders of complete runs beside each other.

    Args:
        data: the folder of their data set: then images have names.

    Raises:
        Refused: they were judged on other images, or one has no match records.
    """
    folders = first, second
    jobs, records = [job_in(folder) for folder in folders], [_records(folder) for folder in folders]
    _check_images(folders, jobs, records)
    results = read_result(first), read_result(second)
    metrics = [_metric(name, *results) for name in METRICS if all(is_known(name, result) for result in results)]
    judged = jobs[0].protocol
    return TwoRuns(
        str(first),
        str(second),
        f"{judged.data} at {judged.size[0]} x {judged.size[1]}" if judged.scenes else judged.data,
        len(records[0].image_ids),
        tuple(one for one in metrics if not (math.isnan(one.first) and math.isnan(one.second))),
        tuple(_unlike(records[0], records[1], _names(jobs[0], data))),
        tuple(_notes(jobs, results)),
    )


def _records(folder: Path) -> MatchRecords:
    if not (path := folder / "records.npz").is_file():
        raise Refused(f"{path} is missing: runs are compared image by image; train that job again")
    return MatchRecords.load(path)


def _check_images(folders: tuple[Path, Path], jobs: list[Job], records: list[MatchRecords]) -> None:
    """The ids of embedded scenes are alike at every level and size, so the data count, and the persons that are there.

    Raises:
        Refused: the runs were judged on other images.
    """
    named = [(job.protocol.data, job.protocol.size if job.protocol.scenes else ()) for job in jobs]
    one, other = records
    same = np.array_equal(one.image_ids, other.image_ids) and np.array_equal(one.positives, other.positives)
    if named[0] == named[1] and same:
        return
    said = [
        f"{folder}: {len(record.image_ids):,} images of {job.protocol.data}"
        + (f" at {job.protocol.size[0]} x {job.protocol.size[1]}" if job.protocol.scenes else "")
        for folder, job, record in zip(folders, jobs, records, strict=True)
    ]
    raise Refused(f"the runs were not judged on the same images, so they have no difference: {'; '.join(said)}")


def _metric(name: str, first: Result, second: Result) -> MetricOfTwo:
    found = difference(name, [Pair("", 0, (second,), (first,))], resampled_run)
    drawn = METRICS[name].resample is not None
    values = [value_of(result, name, resampled_run) for result in (first, second)]
    bounds = (found.low, found.high) if drawn else (math.nan, math.nan)
    return MetricOfTwo(name, values[0], values[1], found.mean, *bounds, _ahead(name, found) if drawn else "")


def _ahead(name: str, found: Interval) -> str:
    towards = METRICS[name].towards_better(1.0)
    if found.low > 0 or found.high < 0:
        return "second" if found.mean * towards > 0 else "first"
    return ""


def _unlike(first: MatchRecords, second: MatchRecords, names: Mapping[int, str]) -> list[UnlikeImage]:
    """The images on which the mean OKS of their persons differs most, the most unlike first; none that are alike."""
    persons = first.oks_count
    shares = [image_oks(record) for record in (first, second)]
    gaps = np.abs(shares[1] - shares[0])
    order = np.argsort(-gaps, kind="stable")[:UNLIKE]
    images = [(int(i), int(first.image_ids[i])) for i in order if gaps[i] > 0]
    return [
        UnlikeImage(image, names.get(image, ""), int(persons[i]), float(shares[0][i]), float(shares[1][i]))
        for i, image in images
    ]


def image_oks(records: MatchRecords) -> NDArray[np.float64]:
    """(images,): the mean OKS of the persons of each image, of the best detection of each; 0 where nobody is."""
    return records.oks_sum / np.maximum(records.oks_count, 1)


def _names(job: Job, data: Path | None) -> Mapping[int, str]:
    """The file of each image by its id."""
    if job.protocol.scenes or data is None:
        return {}
    return {int(image["id"]): str(image.get("file_name", "")) for image in open_dataset(data, "val").coco()["images"]}


def _notes(jobs: list[Job], results: tuple[Result, Result]) -> list[str]:
    ways = [arithmetic_of(result.tags) for result in results]
    found = [] if ways[0] == ways[1] else [f"computed otherwise: {ways[0]}, and {ways[1]}"]
    if jobs[0].key == jobs[1].key:
        found.append("both are the same job")
    lost = [result.metrics.get("unreadable_images", 0.0) for result in results]
    return found + [f"{max(lost):.0f} images could not be read"] * bool(max(lost))
