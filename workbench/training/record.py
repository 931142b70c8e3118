"""The record of a job: what lies in its folder, and how it is written and read. It needs neither torch nor the trainer.

HOME/jobs/KEY/
    job.json             the whole job
    checkpoint.pt        the state after the last complete epoch; gone when the job is complete
    state.pt             the same at the end, of a job that others go on from (`protocol.stop`)
    paused.json          where the job waits, if it does (see `training.rung`); gone when the job is complete
    curve.csv            one line per evaluation: epoch, metrics, mean losses, images per second
    losses.csv           one line per epoch: epoch, mean losses
    records.npz          per-image match records of the last evaluation
    predictions.png      validation images with the persons found
    weights.safetensors  the averaged weights
    result.json          final numbers, written last: its presence means that the job is complete
"""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from operator import ge, le
from pathlib import Path
from typing import Any

from workbench.core.errors import DataFault, one_line
from workbench.core.files import write_whole

# What training computes, raised where a job gives other numbers than before: then it is trained again, and not compared
# with what was. 2: batch norm on a CPU is exact in float32.
NUMERICS = "2"
FIRST_NUMERICS = "1"  # of records that do not say
PARTS = "parts"  # the tag that says into how many parts each batch was cut, where it was: batch norm saw one at a time
JOBS = "jobs"  # the folder of the folders of jobs
_ANEW = "the study that it belongs to trains the job again"
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
    tags: Mapping[str, str]  # commit, machine, threads, precision, ranks, torch, finished, numerics
    folder: Path


def arithmetic(precision: str, numerics: str = NUMERICS, start: str = "") -> str:
    """How a job was computed, in words: runs that differ in it are not compared.

    Args:
        start: the same of the job that it began with, "" where there is none.
    """
    return f"{precision}, numerics {numerics}" + f", begun in {start}" * bool(start)


def arithmetic_of(tags: Mapping[str, str]) -> str:
    """The same, from the tags of a result."""
    precision = tags.get("precision", "unknown precision")
    return arithmetic(precision, tags.get("numerics", FIRST_NUMERICS), tags.get("start_arithmetic", ""))


def job_folder(home: Path, key: str) -> Path:
    """Where the record of a job lies."""
    return home / JOBS / key


def is_complete(folder: Path) -> bool:
    """Whether a job has been trained, evaluated and recorded, by code that computes what this does."""
    path = folder / "result.json"
    try:
        return _numerics(path, path.stat().st_mtime_ns) == NUMERICS
    except (FileNotFoundError, NotADirectoryError):
        return False


@lru_cache(maxsize=100_000)
def _numerics(path: Path, _: int) -> str:
    """Of a result, "" of one that can not be used; read once while the file stays as it is, because whoever waits for
    jobs asks again and again."""
    try:
        return _read_whole(path)["tags"].get("numerics", FIRST_NUMERICS)
    except DataFault:
        return ""


def read_result(folder: Path) -> Result:
    """The record of a complete job.

    Raises:
        DataFault: it is damaged.
    """
    data = _read_whole(folder / "result.json")
    return Result(data["key"], data["metrics"], read_curve(folder), data["tags"], folder)


def _read_whole(path: Path) -> dict[str, Any]:
    """What a result holds.

    Raises:
        DataFault: it can not be read, is no record, or that of another job.
    """
    try:
        data = json.loads(path.read_text("utf-8"))
        metrics, tags, key = data["metrics"], data.setdefault("tags", {}), data["key"]
        numbers = all(isinstance(value, int | float) for value in metrics.values())
        if not numbers or not all(isinstance(value, str) for value in tags.values()):
            raise TypeError("metrics that are no numbers, or tags that are no words")
    except FileNotFoundError:
        raise
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise DataFault(f"{path}: it is damaged ({one_line(error)}); {_ANEW}") from error
    if path.parent.parent.name == JOBS and key != path.parent.name:  # such a folder is named after its job
        raise DataFault(f"{path}: it is of job {key}; {_ANEW}")
    return data


def write_result(folder: Path, key: str, metrics: Mapping[str, float], tags: Mapping[str, str]) -> None:
    """Makes the job complete: all its other files are there by now."""
    record = {"key": key, "metrics": metrics, "tags": {**tags, "numerics": NUMERICS}}
    with write_whole(folder / "result.json") as part:
        part.write_text(json.dumps(record, indent=1))


def read_curve(folder: Path) -> list[dict[str, float]]:
    """One mapping per evaluation so far, the oldest first.

    Raises:
        DataFault: the file is damaged.
    """
    return _read_lines(folder / "curve.csv")


def write_curve(folder: Path, curve: Sequence[Mapping[str, float]]) -> None:
    """The whole curve anew; what an evaluation did not measure stays empty."""
    _write_lines(folder / "curve.csv", curve)


def read_losses(folder: Path) -> list[dict[str, float]]:
    """One mapping per epoch so far, the oldest first: the means of its losses. None of records of old."""
    return _read_lines(folder / "losses.csv")


def write_losses(folder: Path, losses: Sequence[Mapping[str, float]]) -> None:
    """All epochs anew; a term that an epoch did not compute stays empty."""
    _write_lines(folder / "losses.csv", losses)


def _read_lines(path: Path) -> list[dict[str, float]]:
    if not path.exists():
        return []
    try:
        with path.open(newline="", encoding="utf-8") as file:
            return [{k: float(v) for k, v in line.items() if v} for line in csv.DictReader(file)]
    except (OSError, ValueError, TypeError, csv.Error) as error:
        raise DataFault(f"{path}: it is damaged ({one_line(error)}); {_ANEW}") from error


def _write_lines(path: Path, lines: Sequence[Mapping[str, float]]) -> None:
    names = list(dict.fromkeys(name for line in lines for name in line))
    text = [",".join(names)] + [",".join(str(line.get(n, "")) for n in names) for line in lines]
    with write_whole(path) as part:
        part.write_text("\n".join(text) + "\n")


def train_minutes(curve: Sequence[Mapping[str, float]], epoch_images: int, begun: float = 0.0) -> float:
    """Minutes of training by one run, without its evaluations: the images of each stretch of its curve by their speed.

    nan where the curve or the size of an epoch is not known.

    Args:
        begun: the epoch that training went on from.
    """
    if not curve or not epoch_images or not all(line.get("train_images_per_s") for line in curve):
        return math.nan
    ends = [begun, *(line["epoch"] for line in curve)]
    seconds = (
        (end - start) * epoch_images / line["train_images_per_s"]
        for start, end, line in zip(ends, ends[1:], curve, strict=False)
    )
    return sum(seconds) / 60


def last_gain(curve: Sequence[Mapping[str, float]]) -> float | None:
    """AP gained over the last quarter of training: how far from flat a curve ends.

    Where no evaluation stands at three quarters, AP is interpolated between those before and after it. None where the
    one after it is the end itself: then the curve does not say what came in that quarter.
    """
    if not curve:
        return None
    start, end = 0.75 * curve[-1]["epoch"], curve[-1]
    before, after = ([line for line in curve if side(line["epoch"], start)] for side in (le, ge))
    if not before or (after[0] is end and before[-1]["epoch"] < start):
        return None
    early, late = before[-1], after[0]
    part = (start - early["epoch"]) / (late["epoch"] - early["epoch"]) if late is not early else 0.0
    return end["AP"] - (early["AP"] + part * (late["AP"] - early["AP"]))
