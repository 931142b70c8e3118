"""Rungs: epochs after which a job pauses, and what is known of it there. This needs neither torch nor the trainer.

HOME/jobs/KEY/paused.json     the last epoch that the job has paused after; gone when the job is complete

The rung is no part of a job's identity: a paused job goes on from its checkpoint, under the same key, and ends as if it
had never stopped. Its schedule is the whole one, so a rung says how a network begins, not how a shorter training ends.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from workbench.core.errors import Refused
from workbench.core.files import write_whole
from workbench.training.record import FIRST_NUMERICS, NUMERICS, read_curve, read_losses

if TYPE_CHECKING:
    from workbench.models.job import Job, Protocol  # and with them torch, which takes seconds

CHECKPOINT = "checkpoint.pt"  # what a job goes on from
STATE = "state.pt"  # in the folder of a job that others go on from
PAUSED = "paused.json"
SINCE_START = "mean_"  # begins the name of a loss that is a mean since the first epoch
_NO_SIGNAL = {"epoch", "lr", "train_images_per_s"}


@dataclass(frozen=True)
class Paused:
    """A job that waits after `epoch`.

    Fields:
        signals: as `signals_at` gives them, of that epoch.
        curve: one mapping per evaluation so far.
        tags: as of a result.
    """

    key: str
    epoch: int
    signals: Mapping[str, float]
    curve: list[dict[str, float]]
    tags: Mapping[str, str]
    folder: Path


def check_until(job: Job, until: int) -> None:
    """Refuses an epoch that the job's own schedule does not train. 0 asks for no pause.

    Raises:
        Refused: it lies before the first epoch or behind the last one.
    """
    first, last = job.start.epoch + 1, job.protocol.last
    if until and not first <= until <= last:
        raise Refused(f"until {until}: job {job.key} trains epochs {first} to {last}; give one of them, or 0 for all")


def rung_epoch(protocol: Protocol, part: float) -> int:
    """The epoch at which `part` of a training is done: 4 for 0.2 of 20 epochs.

    Raises:
        Refused: no epoch ends there.
    """
    epoch = round(part * protocol.last)
    if not 0 < part <= 1 or abs(epoch - part * protocol.last) > 1e-6:
        raise Refused(
            f"a rung at {part:g} of {protocol.last} epochs lies on none of them; expected a multiple of "
            f"{1 / protocol.last:g}, above 0 and at most 1"
        )
    return epoch


def rung_of(folder: Path) -> int:
    """The last epoch that a job has paused after; 0: none, or the code then computed otherwise, or nobody can tell."""
    try:
        data = json.loads((folder / PAUSED).read_text())
        return int(data["epoch"]) if data["tags"].get("numerics", FIRST_NUMERICS) == NUMERICS else 0
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return 0  # a damaged file is written anew when the job gets there again


def write_pause(folder: Path, key: str, epoch: int, tags: Mapping[str, str]) -> None:
    """Says that a job waits: its checkpoint, its curve and its losses are there by now."""
    with write_whole(folder / PAUSED) as part:
        part.write_text(json.dumps({"key": key, "epoch": epoch, "tags": {**tags, "numerics": NUMERICS}}, indent=1))


def read_pause(folder: Path) -> Paused:
    """The record of a paused job."""
    data = json.loads((folder / PAUSED).read_text())
    epoch = int(data["epoch"])
    return Paused(data["key"], epoch, signals_at(folder, epoch), read_curve(folder), data["tags"], folder)


def signals_at(folder: Path, epoch: int) -> dict[str, float]:
    """What can rank a job after `epoch`, of a job that has been trained so far at least, complete or not.

    The metrics, where it was evaluated there; `loss_...`, the means of that epoch; `mean_loss_...`, the means since the
    first epoch of its record, over the epochs that have the term. Empty where the record says nothing of that epoch.
    """
    return signals(read_curve(folder), read_losses(folder), epoch)


def signals(
    curve: Sequence[Mapping[str, float]], losses: Sequence[Mapping[str, float]], epoch: int
) -> dict[str, float]:
    """As `signals_at`, of a curve and of the losses of each epoch."""
    found = {k: v for line in curve if line["epoch"] == epoch for k, v in line.items() if k not in _NO_SIGNAL}
    lines = [line for line in losses if line["epoch"] <= epoch]
    if not lines or lines[-1]["epoch"] != epoch:
        return found
    found |= {name: value for name, value in lines[-1].items() if name not in _NO_SIGNAL}
    names = dict.fromkeys(name for line in lines for name in line if name not in _NO_SIGNAL)
    each = {name: [line[name] for line in lines if name in line] for name in names}
    return found | {f"{SINCE_START}{name}": sum(values) / len(values) for name, values in each.items()}
