"""Makes the stored trunks: `workbench trunk`. Hours on a CPU each; resumable."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from safetensors.torch import load_file

from workbench import trunk
from workbench.errors import Refused
from workbench.presets import trunk_jobs
from workbench.run import Progress, Result, run
from workbench.train import Machine
from workbench.variant import Job


def train_trunks(names: Sequence[str], home: Path, machine: Machine) -> int:
    """Trains the named trunks, all of them for none, below `home`, and stores them in the package.

    Raises:
        Refused: no such trunk.
    """
    jobs = trunk_jobs()
    if unknown := sorted(set(names) - set(jobs)):
        raise Refused(f"no trunk {unknown}; there are {list(jobs)}")
    for name in names or jobs:
        result = run(jobs[name], machine, home / "jobs" / jobs[name].key, tell=_teller(name))
        keep(name, jobs[name], result)
    return 0


def keep(name: str, job: Job, result: Result) -> None:
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
    trunk.store(name, job, load_file(result.folder / "weights.safetensors"), record)


def _teller(name: str):
    said = -1

    def tell(progress: Progress) -> None:
        nonlocal said
        if progress.epoch > said:
            said = progress.epoch
            numbers = " ".join(f"{k} {v:.3f}" for k, v in progress.metrics.items() if k in ("AP", "mOKS"))
            print(
                f"{name}: epoch {progress.epoch} of {progress.epochs}, {progress.images_per_s:.0f} images/s {numbers}"
            )

    return tell
