"""Which network a file of weights is of: what it says itself, its job's, or the one whose names and shapes it has.

Key points and classes are told by the shapes, so a network that was trained on data of one's own is recognised, too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from statistics import fmean
from typing import NamedTuple

import torch
from torch import Tensor

from workbench.core.keypoints import Skeleton, canonical
from workbench.core.skeletons import COCO, RELEASED_SKELETONS, SKELETONS, skeleton_of
from workbench.core.weights import Weights
from workbench.models import zoo
from workbench.models.network import Network
from workbench.models.variant import Variant
from workbench.models.weight_file import ANCHOR, WeightFile
from workbench.models.weight_names import COUNTER, SIGMAS, is_constant, last_word, published_name

_POINTS, _CLASSES = "head.dcc.pos_enc", "head.head_module.out_cls.0.bias"  # as long as there are of them
_SIDES = {"nano": zoo.NANO_SIDE, "rtmo-t": 416}  # of the input; 640 for all others


class Recognised(NamedTuple):
    """A network: its preset ("" for a variant of one's own), its variant, height and width of its input."""

    preset: str
    variant: Variant
    size: tuple[int, int]


def recognised(file: WeightFile) -> Recognised | None:
    """The network of a file; None where it is none that is known here.

    A file that names its network, or lies beside its job, is believed: loading it compares every name and shape.
    """
    if file.job is not None:
        return Recognised("", file.job.variant, file.job.protocol.size)
    if file.variant is not None and file.size is not None:
        return Recognised("", file.variant, file.size)
    points, classes = (_length(file.tensors, name) for name in (_POINTS, _CLASSES))
    if not points or not classes:
        return None
    skeleton = skeleton_in(file, points)
    for preset in _presets(file.tensors):
        variant = with_points(preset, skeleton, classes)
        if has_weights_of(file.tensors, variant):
            side = _SIDES.get(preset, 640)
            return Recognised(preset, variant, (side, side))
    return None


def advice(file: WeightFile) -> str:
    """The network that a file fits, in a sentence."""
    found = recognised(file)
    if found is None:
        return "It fits no preset t, s, m, l or nano, with any number of key points and classes"
    if not found.preset:
        return f"It fits the network of {'its job' if file.job else 'its own header'}"
    size, points = found.preset.removeprefix("rtmo-"), found.variant.num_keypoints
    named = f"rtmo({size!r}, {points})" if points in RELEASED_SKELETONS else f"{found.preset} with {points} key points"
    classes = f" and {found.variant.num_classes} classes" * (found.variant.num_classes > 1)
    return f"It fits the preset {named}{classes}"


def with_points(preset: str, skeleton: Skeleton, classes: int = 1) -> Variant:
    """A preset that finds these key points and tells so many classes apart."""
    if preset != "nano" and skeleton == RELEASED_SKELETONS[14]:
        base = zoo.rtmo(preset.removeprefix("rtmo-"), 14)
    else:
        base = zoo.NETWORKS[preset]()
    return base.vary({"keypoint_set": skeleton, "num_keypoints": len(skeleton), "num_classes": classes})


def skeleton_in(file: WeightFile, count: int) -> Skeleton:
    """The key points of a file: by their names, else by their constants of OKS, else by their number.

    Points that nobody names are called by their numbers.
    """
    sigmas = _sigmas(file.tensors.get(SIGMAS), count)
    names = file.keypoints if len(file.keypoints) == count else ()
    named = skeleton_of(names) if names else None
    if named is not None and canonical(names) == canonical(named.keypoints) and _alike(sigmas, named.sigmas):
        return named
    if not names:
        order = [*RELEASED_SKELETONS.values(), *SKELETONS.values()]
        alike = (one for one in order if len(one) == count and _alike(sigmas, one.sigmas))
        if (found := next(alike, None)) is not None and (sigmas or count in RELEASED_SKELETONS):
            return found
    return Skeleton(
        name="of_the_file",
        keypoints=names or tuple(f"point {k}" for k in range(count)),
        sigmas=sigmas or (round(fmean(COCO.sigmas), 3),) * count,
        flip=tuple(range(count)),
    )


def has_weights_of(tensors: Weights, variant: Variant) -> bool:
    """Whether there is all that a network learns, under its published names, in its shapes."""
    return all(name in tensors and tensors[name].shape == shape for name, shape in learnt_shapes(variant).items())


@cache
def learnt_shapes(variant: Variant) -> Mapping[str, torch.Size]:
    """Of what a network learns, by published name."""
    with torch.device("meta"):
        network = Network(variant)
    shapes = {published_name(name): value.shape for name, value in network.state_dict().items()}
    return {name: shape for name, shape in shapes.items() if not is_constant(name) and last_word(name) != COUNTER}


def _presets(tensors: Weights) -> list[str]:
    """Those whose first layer is as wide as the file's."""
    width = _length(tensors, ANCHOR)
    sizes = [size for size, factors in zoo.SIZES.items() if int(64 * factors.width) == width]
    return [f"rtmo-{size}" for size in sizes] or ["nano"]


def _length(tensors: Weights, name: str) -> int:
    return tensors[name].shape[0] if name in tensors and tensors[name].ndim else 0


def _sigmas(value: Tensor | None, count: int) -> tuple[float, ...]:
    """Constants of OKS as they were written, without the digits that float32 adds; () where there are none."""
    if value is None or value.shape != (count,) or not bool((value > 0).all()):
        return ()
    return tuple(float(f"{one:.6g}") for one in value.float().tolist())


def _alike(given: Sequence[float], known: Sequence[float]) -> bool:
    """As far as bfloat16 can tell; nothing given says nothing against it."""
    return not given or all(abs(a - b) <= 4e-3 * b for a, b in zip(given, known, strict=True))
