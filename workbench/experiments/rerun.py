"""A run of the record, trained again: whether it gives the same numbers, and if not, what differs.

On a CPU the same code gives the same bits where threads, vector units and torch are the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file

from workbench.core.files import locked_folder
from workbench.experiments.run_folders import RESULT_FILE
from workbench.models.weight_file import job_in
from workbench.training.machine import Machine, machine_on
from workbench.training.record import Progress, Result, read_curve, read_losses, read_result
from workbench.training.run import run, silent

RERUNS = "reruns"  # folder in the home
TIMED = ("latency", "train_images")  # numbers that never are the same twice begin so
UNASKED = {"finished"}  # tags that differ by nature
WEIGHTS = "weights.safetensors"


@dataclass(frozen=True)
class Again:
    """A run and the same one again.

    Fields:
        folder: of the second. first_unlike: the first number that differs, in words; "" where none does.
        compared: how many numbers were compared. provenance: what differs of where they come from, old and new.
    """

    key: str
    folder: str
    identical: bool
    first_unlike: str
    compared: int
    provenance: Mapping[str, tuple[str, str]]

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def rerun_folder(key: str, home: Path) -> Path:
    """Where a job is trained again: a fresh folder, or one where this was cut off."""
    place, number = home / RERUNS / key, 1
    while (place / RESULT_FILE).is_file():
        number += 1
        place = home / RERUNS / f"{key}-{number}"
    return place


def machine_of(tags: Mapping[str, str]) -> Machine:
    """The machine of a record, as far as this one is like it: its precision, its device, its processes."""
    on_cpu = " cores, " in tags.get("machine", " cores, ")
    bf16 = tags.get("precision") == "bf16"
    if on_cpu or not torch.cuda.is_available():
        return Machine("cpu", bf16)
    found = machine_on("cuda")
    return Machine("cuda", bf16, found.workers, min(int(tags.get("ranks", "1")), found.ranks))


def train_again(
    old: Path, folder: Path, home: Path, data: Path | None = None, tell: Callable[[Progress], None] = silent
) -> Again:
    """Trains the job of a complete run again and compares.

    Args:
        old: folder of the run; folder: of the new one.
        home: holds the job that it begins with, where it does.
        data: folder of its data set.

    Raises:
        Refused: the data set is another one, or not given; the job that it begins with is not there.
    """
    before, job = read_result(old), job_in(old)
    torch.set_num_threads(int(before.tags.get("threads", "1")))
    with locked_folder(folder):
        after = run(job, machine_of(before.tags), home, data, tell, folder=folder)
    return numbers_apart(before, after)


def numbers_apart(before: Result, after: Result) -> Again:
    """Two records of one job, number by number in the order in which they were computed: losses of the epochs, curve,
    final metrics, weights."""
    count, unlike = 0, ""
    for name, old, new in _numbers(before, after):
        count += 1
        if repr(old) != repr(new):
            unlike = f"{name}: {old!r} then, {new!r} now"
            break
    names = [name for name in dict.fromkeys([*before.tags, *after.tags]) if name not in UNASKED]
    pairs = {name: (before.tags.get(name, ""), after.tags.get(name, "")) for name in names}
    differs = {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}
    return Again(before.key, str(after.folder), not unlike, unlike, count, differs)


def _numbers(before: Result, after: Result) -> Iterator[tuple[str, Any, Any]]:
    """What each number is, and both values of it; None where one record lacks it."""
    for read in (read_losses, read_curve):
        old, new = read(before.folder), read(after.folder)
        if not old:  # records of old have no losses
            continue
        for one, other in zip(old, new, strict=False):
            yield from _of_line(f"epoch {one['epoch']:g}, ", one, other)
        yield "evaluated epochs" if read is read_curve else "epochs", len(old), len(new)
    yield from _of_line("at the end, ", before.metrics, after.metrics)
    paths = [result.folder / WEIGHTS for result in (before, after)]
    mine, theirs = (load_file(path) if path.is_file() else {} for path in paths)
    for name in dict.fromkeys([*mine, *theirs]):
        same = name in mine and name in theirs and torch.equal(mine[name], theirs[name])
        yield f"weights {name}", "as trained", "as trained" if same else "others"


def _of_line(where: str, old: Mapping[str, float], new: Mapping[str, float]) -> Iterator[tuple[str, Any, Any]]:
    for name in dict.fromkeys([*old, *new]):
        if not name.startswith(TIMED):
            yield f"{where}{name}", old.get(name), new.get(name)
