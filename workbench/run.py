"""One job end to end: data, network, resume, training, evaluation, cost, record. A folder per job key.

    job.json          the whole job
    checkpoint.pt     the state after the last complete epoch
    curve.csv         one line per evaluation: epoch, progress, metrics, mean losses, images per second
    records.npz       per-image match records of the last evaluation
    predictions.png   validation images with the persons found
    result.json       final numbers, written last: its presence means that the job is complete
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from workbench.train import Machine
from workbench.variant import Job


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
    tags: Mapping[str, str]  # commit, machine, threads, precision, started, seconds
    folder: Path


def run(
    job: Job, machine: Machine, folder: Path, data: Path | None = None, tell: Callable[[Progress], None] = lambda p: None
) -> Result:
    """Trains and evaluates `job` in `folder`, from its checkpoint if there is one; a complete job is only read.

    Raises:
        Refused: the data set does not fit the job.
    """
    raise NotImplementedError
