"""Weights of small networks as several programs write them."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from tests.small import small_job
from workbench.core.keypoints import Skeleton
from workbench.models import zoo
from workbench.models.network import Network
from workbench.models.published import published_state
from workbench.models.variant import Variant
from workbench.models.weight_names import is_constant

State = dict[str, Tensor]


def points(count: int) -> Skeleton:
    """So many key points of one's own."""
    names = tuple(f"p{k}" for k in range(count))
    return Skeleton(name="own", keypoints=names, sigmas=(0.05,) * count, flip=tuple(range(count)))


def nano_with(count: int = 17, classes: int = 1) -> Variant:
    changes = {} if count == 17 else {"num_keypoints": count, "keypoint_set": points(count)}
    return zoo.nano().vary({**changes, "num_classes": classes})


@cache
def network(count: int = 17, classes: int = 1) -> Network:
    """A nano network whose numbers are all others than those that it is made with."""
    made = Network(nano_with(count, classes), seed=5).eval()
    torch.manual_seed(count)
    with torch.no_grad():
        for name, value in made.state_dict().items():
            if value.is_floating_point() and not is_constant(name):
                value.mul_(1 + 0.1 * torch.rand_like(value))
    return made


def published(count: int = 17, classes: int = 1) -> State:
    """Its weights under the published names."""
    return {name: value.clone() for name, value in published_state(network(count, classes)).items()}


def mmpose_file(path: Path, count: int = 17, classes: int = 1, **beside: Any) -> Path:
    torch.save({"meta": {}, "state_dict": published(count, classes), **beside}, path)
    return path


def job_folder(folder: Path, **changes: Any) -> Path:
    """The folder of a complete job, as far as its weights go; `changes` are of its variant, as its file says."""
    job = small_job()
    folder.mkdir(parents=True)
    changed = job.vary({"variant": job.variant.vary(changes)})
    (folder / "job.json").write_text(json.dumps(changed.to_dict(defaults=True)))
    save_file(Network(job.variant, seed=3).state_dict(), folder / "weights.safetensors")
    return folder


def equal(a: State, b: State) -> bool:
    """The same names, and the same numbers to the bit, in the same type."""
    return a.keys() == b.keys() and all(a[k].dtype == b[k].dtype and torch.equal(a[k], b[k]) for k in a)
