"""The weights that a training begins with, from a file of another network: other key points, other classes.

    found = initialise(Network(job.variant, job.seed), "rtmo-s.pth")     # what fits; refused before work starts
    job = job.vary({"start.weights": keep_start_weights("rtmo-s.pth", home)})

What fits is taken. A key point begins with what the file has for the one of its name; one that the file does not have
is new, as are classes of another number and what the file has not. What the file has and the network has not is left
over, and refused unless that is asked for. A file of another width is refused in any case. Such a job names the file by
its digest, and `home` keeps a copy of it.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import torch

from workbench.core.errors import Refused
from workbench.core.files import make_once
from workbench.core.weights import Weights
from workbench.models.named import source_file
from workbench.models.network import Network
from workbench.models.point_rows import one_more_point, rows_by_name
from workbench.models.published import with_constants
from workbench.models.recognised import advice, learnt_shapes
from workbench.models.variant import Variant
from workbench.models.weight_names import COUNTER, is_constant, last_word, our_name, published_name

_DIGITS = 16  # of the sha256 that a job names a file by
_SHOWN = 6  # layers of a list in a message


@dataclass(frozen=True)
class Initialised:
    """Names of tensors, ours: taken from the file; new, as the seed made them; left over, of the file.

    Fields:
        points: names of key points that the file does not have, whose parts of what was taken are new.
    """

    taken: tuple[str, ...]
    new: tuple[str, ...]
    left: tuple[str, ...]
    points: tuple[str, ...] = ()

    def lines(self) -> list[str]:
        """The same in words, tensors of one layer together."""
        parts = (("taken", self.taken), ("new", self.new), ("left over", self.left))
        lines = [f"{what}: {len(names)} tensors" + _listed(names) * (what != "taken") for what, names in parts]
        return lines + [f"new key points: {', '.join(self.points)}"] * bool(self.points)


def initialise(network: Network, source: str | Path, leftover: bool = False) -> Initialised:
    """Begins a network with what fits of a file, in place. The rest of it stays as it is.

    Args:
        source: a file of weights under mmpose's, Focoos' or our names, a path or an address; the folder of a job; or
            the name of a released model.
        leftover: leave what the network has no place for; False refuses such a file.

    Raises:
        Refused: no such file; nothing of it fits; it is of another width or depth; or something is left over.
    """
    file = source_file(source)
    own = {published_name(name): value for name, value in network.state_dict().items()}
    given = with_constants(file.tensors, own, network.variant.skeleton.sigmas)
    given = {name: value for name, value in given.items() if not is_constant(name) and last_word(name) != "sigmas"}
    given, found = rows_by_name(file, given, own, network.variant)
    taken = [name for name in own if name in given and given[name].shape == own[name].shape]
    other = [name for name in own if name in given and name not in taken]
    if odd := [name for name in other if not _differs_in_number(given[name].shape, name, network.variant)]:
        shapes = f"{tuple(given[odd[0]].shape)} instead of {tuple(own[odd[0]].shape)}"
        raise Refused(f"{source}: {len(odd)} tensors are of another network, as {odd[0]}, {shapes}. {advice(file)}")
    if not any(last_word(name) == "weight" for name in taken):
        raise Refused(f"{source}: nothing of it fits this network. {advice(file)}")
    learnt = [name for name in own if not is_constant(name) and last_word(name) != COUNTER]
    left = [name for name in given if name not in own]
    if left and not leftover:
        raise Refused(
            f"{source}: {len(left)} tensors have no place in this network{_listed(map(our_name, left))}; leave them "
            "with --init-leftover ignore (leftover=True)"
        )
    network.load_state_dict({our_name(name): given[name] for name in taken}, strict=False)
    new = [name for name in learnt if name not in taken]
    points = [name for k, name in enumerate(network.variant.skeleton.keypoints) if found and k not in found]
    names = (tuple(map(our_name, part)) for part in (taken, new, left))
    return Initialised(*names, points=tuple(points))


def keep_start_weights(source: str | Path, home: Path) -> str:
    """Keeps a copy of a file of weights below `home`, where jobs that begin with it find it. Gives its digest.

    Args:
        source: as of `initialise`.

    Raises:
        Refused: as `initialise`, of the file alone.
    """
    path = source_file(source).path
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()[:_DIGITS]
    make_once(_folder(home) / f"{digest}{path.suffix}", lambda part: shutil.copyfile(path, part))
    return digest


def start_file(home: Path, digest: str) -> Path:
    """The copy that `keep_start_weights` made.

    Raises:
        Refused: there is none.
    """
    found = sorted(path for path in _folder(home).glob(f"{digest}.*") if path.suffix not in (".lock", ".part"))
    if not found:
        raise Refused(
            f"no weights {digest} in {_folder(home)}, with which the job begins: declare it again with --init FILE, or "
            "copy them there"
        )
    return found[0]


def begin_with_file(network: Network, home: Path, digest: str) -> Weights:
    """Begins a network with what fits of the copy that `home` keeps; gives all its weights then.

    What is left over of it was asked about when the job was declared.

    Raises:
        Refused: there is no copy, or another file in its place.
    """
    initialise(network, _checked(home, digest), leftover=True)
    return network.state_dict()


def kept_weights(home: Path, digest: str) -> Weights:
    """What the copy that `home` keeps holds, under our names.

    Raises:
        Refused: there is no copy, or another file in its place.
    """
    return {our_name(name): value for name, value in source_file(_checked(home, digest)).tensors.items()}


def _checked(home: Path, digest: str) -> Path:
    path = start_file(home, digest)
    with path.open("rb") as file:
        if not hashlib.file_digest(file, "sha256").hexdigest().startswith(digest):
            raise Refused(f"{path}: is another file by now; delete it, and declare the job again with --init FILE")
    return path


def _folder(home: Path) -> Path:
    return home / "starts"


def _listed(names: Iterable[str]) -> str:
    layers = list(dict.fromkeys(name.rpartition(".")[0] or name for name in names))
    more = f" and {len(layers) - _SHOWN} more layers" if len(layers) > _SHOWN else ""
    return f": {', '.join(layers[:_SHOWN])}{more}" if layers else ""


def _differs_in_number(shape: torch.Size, name: str, variant: Variant) -> bool:
    """Whether a tensor's shape is that of another number of key points or classes."""
    mine, more = learnt_shapes(variant).get(name, ()), _with_more(variant).get(name, ())
    alike = (given == side or side != other for given, side, other in zip(shape, mine, more, strict=False))
    return len(shape) == len(mine) == len(more) and all(alike)


@cache
def _with_more(variant: Variant) -> Mapping[str, torch.Size]:
    """The shapes with one more key point and class: what differs depends on their number."""
    return learnt_shapes(variant.vary({**one_more_point(variant), "num_classes": variant.num_classes + 1}))
