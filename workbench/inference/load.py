"""Trained networks by what a user has of them: a released model's name, a checkpoint, or the folder of a job."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from safetensors.torch import load_file

from workbench.core.errors import Refused
from workbench.core.spec import from_dict
from workbench.models import catalog, zoo
from workbench.models.job import Job
from workbench.models.network import Network
from workbench.models.published import open_published
from workbench.rtmo import RELEASED, RTMO, ModelManager

_NANO = "nano"


@dataclass(frozen=True)
class Trained:
    """A network in eval mode. `size` (height, width) is that of its training, `source` what it came from.

    `job` is its training, where it is known.
    """

    network: Network
    size: tuple[int, int]
    source: str
    job: Job | None = None


def load_trained(what: str, weights: str | Path | None = None) -> Trained:
    """The network that `what` names, with its weights.

    Args:
        what: a name of `zoo.RELEASED`, whose weights are downloaded once; a file with released weights; or the folder
            of a complete job.
        weights: the file of a released model's weights, where they are here already.

    Raises:
        Refused: there is no such thing, or it holds no weights of a known network.
    """
    path = Path(what)
    if weights is not None and what not in RELEASED:
        raise Refused(f"{what}: weights are taken for a released model ({', '.join(RELEASED)}); {what} has its own")
    if path.is_dir():
        return _of_job(path)
    if path.is_file():
        return Trained(open_published(path), (640, 640), path.name)
    if what in RELEASED:
        model = ModelManager.get(what, weights)
        return Trained(model.network, model.size, what)
    if what == _NANO:
        raise Refused(f"{what}: no weights are published; pass the folder of a job, or --random-weights")
    raise Refused(
        f"{what!r}: no such file, folder or released model; released are {', '.join(RELEASED)}; a file holds released "
        "weights, a folder a complete job (job.json and weights.safetensors)"
    )


def load_untrained(name: str) -> Trained:
    """The network of a released model, or `nano`, with random weights: right for sizes and times, and nothing else.

    Raises:
        Refused: no such name.
    """
    if name == _NANO:
        return Trained(Network(zoo.nano(), seed=0).eval(), (96, 96), f"{name}, random weights")
    config = ModelManager.config(name)
    model = RTMO(config, (RELEASED[name].side, RELEASED[name].side))
    return Trained(model.network.eval(), model.size, f"{name}, random weights")


def _of_job(folder: Path) -> Trained:
    missing = [name for name in ("job.json", "weights.safetensors") if not (folder / name).is_file()]
    if missing:
        raise Refused(f"{folder}: no {' and no '.join(missing)}; expected the folder of a complete job")
    job = from_dict(json.loads((folder / "job.json").read_text()), catalog.spec_types())
    assert isinstance(job, Job)
    network = Network(job.variant)
    network.load_state_dict(load_file(folder / "weights.safetensors"))
    return Trained(network.eval(), job.protocol.size, f"job {job.key}", job)
