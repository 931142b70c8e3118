"""Frozen trunks: the trained part of a network that all rows of a probe share.

A trunk is a trained job whose backbone, neck and towers are kept in the package; or that of a file of weights, which
`file_trunk` names by its digest and `models.initial` keeps a copy of.

Under a probe every row trains anew only its coordinate stage and what its head calls `probed`; the rest computes its
features once per data set.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save
from torch import Tensor

from workbench.core.errors import Refused
from workbench.core.files import make_once, write_whole
from workbench.models.initial import kept_weights
from workbench.models.job import Job
from workbench.models.network import Network
from workbench.models.variant import Variant
from workbench.models.weight_names import COUNTER, is_constant, last_word
from workbench.slots import Towers

_FILE, _IDS = "file", "ids"
STORED = Path(__file__).parents[1] / "trunks"  # NAME.safetensors and NAME.json: job, curve, how it was made


def probed(variant: Variant) -> tuple[str, ...]:
    """How the names of the parameters begin that a probe trains."""
    return ("coords.", *(f"head.{child}." for child in variant.head.probed))


def as_on_trunk(job: Job) -> Job:
    """The job with what has no effect on a frozen trunk as it is by default: jobs that train the same there are one."""
    if not job.protocol.trunk:
        return job
    coords = job.variant.coords
    plain = type(coords)()
    unread = {f"variant.coords.{name}": getattr(plain, name) for name in coords.without_effect_on_frozen_trunk}
    return job.vary(unread)


def freeze(network: Network) -> None:
    """Leaves only what a probe trains to be trained."""
    for name, parameter in network.named_parameters():
        parameter.requires_grad_(name.startswith(probed(network.variant)))


def store_trunk(name: str, job: Job, weights: dict[str, Tensor], record: dict[str, Any]) -> None:
    """Stores a trained network as a trunk: in half precision, without what a probe trains anew."""
    anew = probed(job.variant)
    kept = {k: v.half() if v.is_floating_point() else v for k, v in weights.items() if not k.startswith(anew)}
    with write_whole(STORED / f"{name}.safetensors") as part:
        part.write_bytes(save({k: v.contiguous() for k, v in kept.items()}))
    with write_whole(STORED / f"{name}.json") as part:
        part.write_text(json.dumps({"job": job.to_dict(defaults=True), **record}, indent=1) + "\n")


def stored_trunks() -> list[str]:
    """The names of the stored trunks."""
    return sorted(path.stem for path in STORED.glob("*.safetensors"))


def teacher_of(name: str) -> str:
    """What a trunk was taught by: its name without the number of its seed, as "joint" of "joint-2"."""
    return name.partition("-")[0]


def trunk_digest(name: str) -> str:
    """The first digits of a stored trunk's sha256. They tell it from an earlier trunk of the same name."""
    return hashlib.sha256((STORED / f"{name}.safetensors").read_bytes()).hexdigest()[:8]


def trunk_identity(name: str) -> str:
    """`NAME@DIGEST` of a stored trunk, which is what a job's key holds; the bare name of one that is not stored."""
    return f"{name}@{trunk_digest(name)}" if name in stored_trunks() else name


def file_trunk(digest: str) -> str:
    """What a job calls the trunk of a file of weights, by the digest of the copy that is kept of it."""
    return f"{_FILE}@{digest}"


def on_trunk(job: Job, home: Path | None = None) -> Network:
    """The job's network with the trunk's weights, everything frozen but what a probe trains.

    Args:
        home: holds the copy of the file that the trunk is from, where it is from one.

    Raises:
        Refused: no such trunk, another one than the job was declared with, or the job's backbone, neck or head is not
            the trunk's.
    """
    name, _, declared = job.protocol.trunk.partition("@")
    network = Network(job.variant, job.seed)
    weights = _of_file(network, home, declared) if name == _FILE and home is not None else _stored(name, declared)
    own = {k: v for k, v in network.state_dict().items() if not k.startswith(probed(job.variant))}
    odd = sorted(set(own) ^ set(weights)) or [k for k in own if own[k].shape != weights[k].shape]
    if odd:
        raise Refused(
            f"trunk {name!r} does not fit this variant, first at {odd[0]!r}: a probe can not change the trunk"
        )
    network.load_state_dict(weights, strict=False)
    freeze(network)
    return network


def _of_file(network: Network, home: Path, digest: str) -> dict[str, Tensor]:
    """What a file has for a network, but for what a probe trains anew."""
    given, anew = kept_weights(home, digest), probed(network.variant)
    own = {k: v for k, v in network.state_dict().items() if not k.startswith(anew)}
    ours = {k: v for k, v in own.items() if is_constant(k) or last_word(k) == COUNTER}
    return ours | {k: v.float() if v.is_floating_point() else v for k, v in given.items() if k in own and k not in ours}


def _stored(name: str, declared: str) -> dict[str, Tensor]:
    if name not in stored_trunks():
        raise Refused(f"no trunk {name!r}; stored are {stored_trunks()}. `workbench trunk NAME` trains one")
    if declared and declared != trunk_digest(name):
        raise Refused(
            f"trunk {name!r} is now {trunk_digest(name)}, the job was declared with {declared}: run the study again"
        )
    stored = load_file(STORED / f"{name}.safetensors")
    return {k: v.float() if v.is_floating_point() else v for k, v in stored.items()}


class Features:
    """The towers of every image of a data set, half precision, in memory. `start` is the first image's id, where the
    maps do not say whose they are."""

    def __init__(self, maps: dict[str, Tensor], start: int) -> None:
        self.maps = maps
        ids = maps.get(_IDS)
        self.rows = None if ids is None else {image: row for row, image in enumerate(ids.tolist())}
        self.start = start

    def __call__(self, image_ids: tuple[int, ...]) -> Towers:
        found = [i - self.start if self.rows is None else self.rows[i] for i in image_ids]
        rows = torch.tensor(found)

        def pick(branch: str) -> list[Tensor]:
            return [self.maps[k][rows].float() for k in sorted(self.maps) if k.startswith(branch)]

        return Towers(cls=pick("cls"), pose=pick("pose"))


@torch.no_grad()
def features(network: Network, images: Callable[[], Any], start: int, path: Path) -> Features:
    """The features of every batch of `images()`, computed once and kept at `path`.

    Of several processes that ask at once, one computes and the others wait. A damaged file is named and made again.
    """
    make_once(path, lambda part: part.write_bytes(save(_computed(network, images))), _readable)
    return Features(load_file(path), start)


def _readable(path: Path) -> bool:
    """Whether a file has the maps of both branches, as many in each, and ends where its header says."""
    try:
        with safe_open(path, "pt") as file:
            names: list[str] = file.keys()
            counts = {name: file.get_slice(name).get_shape()[0] for name in names}
    except (SafetensorError, OSError, IndexError):
        return False
    return {"cls0", "pose0"} <= set(counts) and len(set(counts.values())) == 1


def _computed(network: Network, images: Callable[[], Any]) -> dict[str, Tensor]:
    """Half precision maps by branch and level, `cls0`, `cls1`, ..., each (images, channels, height, width), and the ids
    of the images."""
    parts: dict[str, list[Tensor]] = {}
    network.eval()
    for batch in images():
        parts.setdefault(_IDS, []).append(torch.tensor(batch.image_ids))
        towers = network.towers(batch.images.contiguous(memory_format=torch.channels_last))
        for branch, levels in (("cls", towers.cls), ("pose", towers.pose)):
            for i, level in enumerate(levels):
                parts.setdefault(f"{branch}{i}", []).append(level.half().contiguous())
    return {name: torch.cat(maps) for name, maps in parts.items()}
