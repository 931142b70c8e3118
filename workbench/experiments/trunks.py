"""Makes the stored trunks: `workbench trunk`. Each takes hours on a CPU; the same command goes on where one stopped."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from safetensors.torch import load_file

from workbench.components.coords.box_heatmap import BoxHeatmap
from workbench.components.losses.heatmap import Heatmap
from workbench.core.errors import Refused
from workbench.core.files import locked_folder
from workbench.experiments.protocols import NANO_RECIPE, SCENES
from workbench.models import trunk
from workbench.models.job import Job
from workbench.models.trunk import teacher_of
from workbench.models.zoo import NO_PROXY, REGRESSION, nano
from workbench.training.machine import Machine
from workbench.training.record import Progress, Result, job_folder
from workbench.training.run import run


def train_trunks(names: Sequence[str], home: Path, machine: Machine) -> int:
    """Trains the named trunks, all of them for none, below `home`, and stores them in the package.

    Raises:
        Refused: no such trunk.
    """
    jobs = trunk_jobs()
    if unknown := sorted(set(names) - set(jobs)):
        raise Refused(f"no trunk {unknown}; there are {list(jobs)}")
    for name in names or jobs:
        with locked_folder(job_folder(home, jobs[name].key)):
            result = run(jobs[name], machine, home, tell=_printer(name))
        keep_trunk(name, jobs[name], result)
    return 0


def keep_trunk(name: str, job: Job, result: Result) -> None:
    """Stores a complete job as a trunk, with its curve, its machine and the command that makes it again."""
    images = job.protocol.epochs * job.protocol.epoch_images
    record = {
        "command": f"workbench trunk {name}",
        "key": job.key,
        "images": images,
        "metrics": dict(result.metrics),
        "tags": dict(result.tags),
        "curve": result.curve,
    }
    trunk.store_trunk(name, job, load_file(result.folder / "weights.safetensors"), record)


def _printer(name: str) -> Callable[[Progress], None]:
    """Prints one line per epoch."""
    printed = -1

    def tell(progress: Progress) -> None:
        nonlocal printed
        if progress.epoch > printed:
            printed = progress.epoch
            numbers = " ".join(f"{k} {v:.3f}" for k, v in progress.metrics.items() if k in ("AP", "mOKS"))
            print(
                f"{name}: epoch {progress.epoch} of {progress.epochs}, {progress.images_per_s:.0f} images/s {numbers}"
            )

    return tell


# What `probe` and `thaw` stand on: trunks that differ in objective and seed, 512,000 images each.
_HEATMAP: Mapping[str, Any] = {
    "coords": BoxHeatmap(),
    "losses.MLE": None,
    "losses.OKS": None,
    "losses.ProxyL1": None,
    "losses.Heatmap": Heatmap(weights=(5.0, 5.0, 5.0)),
    "assigner.dynamic_k": "iou",
    "assigner.overlap": "iou",
    "assigner.oks_weight": 0.0,
    **NO_PROXY,
}


_TAUGHT: Mapping[str, Mapping[str, Any]] = {"regression": REGRESSION, "joint": {}, "heatmap": _HEATMAP}
# Of the teacher that all rows of a study share there are four: what chance makes of a trunk shows only among them.
_SEEDS = {"regression": 0, "joint": 1, "heatmap": 2, "joint-2": 3, "joint-3": 4, "joint-4": 5}


def trunk_jobs() -> dict[str, Job]:
    """The training of each trunk: regression only, jointly with the DCC, and neither (boxes, scores and heatmaps)."""
    protocol = replace(SCENES, epochs=32, eval_every=4)
    return {
        name: Job(variant=nano().vary(_TAUGHT[teacher_of(name)]), recipe=NANO_RECIPE, protocol=protocol, seed=seed)
        for name, seed in _SEEDS.items()
    }
