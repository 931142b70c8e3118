"""What a file of weights is: `workbench weights show`."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from workbench.core.weights import Weights, digits_of
from workbench.models import zoo
from workbench.models.recognised import Recognised, advice, has_weights_of, recognised
from workbench.models.variant import Variant
from workbench.models.weight_file import WeightFile, read_weight_file
from workbench.models.weight_names import COUNTER, SIGMAS, is_constant, last_word

_STATISTICS = ("running_mean", "running_var", COUNTER)  # of a batch norm: kept, not learnt
_PARTS = {"backbone.": "backbone", "neck.": "neck", "head.head_module.": "head", "head.dcc.": "coords"}
_SLOTS = ("backbone", "neck", "head", "coords")


@dataclass(frozen=True)
class Part:
    """Tensors of a part of the network, and the numbers that are learnt among what they hold."""

    tensors: int
    parameters: int


@dataclass(frozen=True)
class WeightReport:
    """What a file of weights is.

    Fields:
        names: whose names the weights have; place: the keys that lead to them; prefix: what stands before all names.
        network: the preset or the components; "" where it is none that is known. fits: whether names and shapes do.
        size: height and width of the input; keypoints: their names; skeleton: of them; classes: how many.
        precisions: how many of the network's tensors have each type; digits: the type of half precision that holds
            all that it has learnt, "" where that has more digits; parts: of the network, "total" last.
        beside: what else the file holds, by key; others: tensors that are none of the network's.
        constants: the name of the tensor of OKS constants, which the loss has and no network; "" without one.
    """

    file: str
    bytes: int
    sha256: str
    names: str
    place: tuple[str, ...]
    prefix: str
    network: str
    fits: bool
    size: tuple[int, int] | None
    skeleton: str
    keypoints: tuple[str, ...]
    classes: int
    precisions: Mapping[str, int]
    digits: str
    parts: Mapping[str, Part]
    beside: Mapping[str, str]
    others: tuple[str, ...]
    constants: str
    job: str
    advice: str

    def as_dict(self) -> dict[str, Any]:
        """As plain data, for JSON."""
        return asdict(self)

    @property
    def _shortened(self) -> str:
        more = self.digits and self.digits not in self.precisions
        return f"; stored anew, with no more than {self.digits}'s digits" if more else ""

    def lines(self) -> list[str]:
        """As text."""
        at = f" at {self.size[0]} x {self.size[1]}" if self.size else ""
        points = f"{len(self.keypoints)} ({self.skeleton}): {', '.join(self.keypoints)}"
        known = [("network", self.network + at), ("key points", points), ("classes", str(self.classes))]
        where = "the file itself" if not self.place else " in ".join(repr(key) for key in reversed(self.place))
        rows = [
            ("file", f"{self.file}, {self.bytes / 1e6:.1f} MB, sha256 {self.sha256}"),
            ("names", f"{self.names}'s, in {where}" + f", each with {self.prefix!r} before it" * bool(self.prefix)),
            *(known if self.network else [("network", self.advice)]),
            *([("job", self.job)] if self.job else []),
            ("numbers", ", ".join(f"{count} {kind}" for kind, count in self.precisions.items()) + self._shortened),
        ]
        if self.network and not self.fits:
            rows.insert(3, ("but", "names or shapes are not those of this network"))
        text = [f"{name:12}{said}" for name, said in rows]
        text += ["", f"{'':12}{'tensors':>10}{'parameters':>14}"]
        text += [f"{name:12}{part.tensors:>10,}{part.parameters:>14,}" for name, part in self.parts.items()]
        text += [f"and {self.constants}: the constants of OKS, of the loss, not of the network"] * bool(self.constants)
        if self.beside or self.others:
            text += ["", "beside the weights, and not read:"]
            text += [f"  {key}: {said}" for key, said in self.beside.items()]
            text += [f"  {name}: a tensor that is none of the network's" for name in self.others[:8]]
            text += [f"  and {len(self.others) - 8} more"] if len(self.others) > 8 else []
        return text


def weight_report(source: str | Path) -> WeightReport:
    """What a file of weights is, or that in the folder of a job.

    Raises:
        Refused: no such file, or none with named tensors that can be read safely.
    """
    file = read_weight_file(source)
    found = recognised(file)
    with file.path.open("rb") as content:
        digest = hashlib.file_digest(content, "sha256").hexdigest()
    points = None if found is None else found.variant.skeleton
    return WeightReport(
        file=str(file.path),
        bytes=file.path.stat().st_size,
        sha256=digest,
        names=file.names,
        place=file.place,
        prefix=file.prefix,
        network=network_words(found),
        fits=found is not None and has_weights_of(file.tensors, found.variant),
        size=None if found is None else found.size,
        skeleton="" if points is None else points.name,
        keypoints=() if points is None else points.keypoints,
        classes=0 if found is None else found.variant.num_classes,
        precisions=_precisions(file.tensors),
        digits=_digits(file.tensors),
        parts=_parts(file.tensors),
        beside=file.beside,
        others=_others(file),
        constants=SIGMAS if SIGMAS in file.tensors else "",
        job=file.job.key if file.job else "",
        advice=advice(file),
    )


def network_words(found: Recognised | None) -> str:
    """A preset's name, else the components."""
    if found is None:
        return ""
    return (
        found.preset or _preset_of(found.variant) or ", ".join(type(getattr(found.variant, s)).__name__ for s in _SLOTS)
    )


def _preset_of(variant: Variant) -> str:
    """The preset with the same components."""
    made = ((name, make()) for name, make in zoo.NETWORKS.items())
    same = (name for name, one in made if all(getattr(one, slot) == getattr(variant, slot) for slot in _SLOTS))
    return next(same, "")


def _precisions(tensors: Weights) -> dict[str, int]:
    """How many of the network's tensors have each type."""
    kinds = (str(value.dtype).removeprefix("torch.") for name, value in tensors.items() if name != SIGMAS)
    return dict(Counter(kinds))


def _digits(tensors: Weights) -> str:
    learnt = (value for name, value in tensors.items() if name != SIGMAS and not is_constant(name))
    return str(digits_of(learnt) or "").removeprefix("torch.")


def _part_of(name: str) -> str:
    return next((part for prefix, part in _PARTS.items() if name.startswith(prefix)), "others")


def _parts(tensors: Weights) -> dict[str, Part]:
    found: dict[str, Part] = {}
    for part in (*_SLOTS, "others"):
        mine = {name: value for name, value in tensors.items() if _part_of(name) == part and name != SIGMAS}
        learnt = [v.numel() for n, v in mine.items() if not is_constant(n) and last_word(n) not in _STATISTICS]
        if mine:
            found[part] = Part(len(mine), sum(learnt))
    parts = list(found.values())
    return found | {"total": Part(sum(part.tensors for part in parts), sum(part.parameters for part in parts))}


def _others(file: WeightFile) -> tuple[str, ...]:
    return (*file.others, *(name for name in file.tensors if _part_of(name) == "others" and name != SIGMAS))
