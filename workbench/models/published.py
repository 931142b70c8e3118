"""Published weights in, published weights out: the names of the released checkpoints, read strictly.

Our names are the published ones but for the prefix of a part, see `PREFIXES`. The released models carry one tensor
that is no part of ours, the constants of OKS in the loss; it is compared with the skeleton's and then dropped.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path

import torch
from torch import Tensor

from workbench.core.errors import Refused
from workbench.core.skeletons import RELEASED_SKELETONS
from workbench.core.weights import Weights, as_tensors, read_weights
from workbench.models.network import Network
from workbench.models.zoo import rtmo

CONSTANTS = ("dim_t", "x_bins", "y_bins")  # last words of the buffers that training does not change
PREFIXES = (("head.head_module.", "head."), ("head.dcc.", "coords."))  # published, ours; all other names are equal
SIGMAS = "head.loss_oks.sigmas"
ANCHOR = "backbone.stem.conv.conv.weight"  # in every released model: what stands before it, stands before all
COUNTER = "num_batches_tracked"  # of a batch norm; some programs leave it out, and nothing is computed from it
_WRAPPERS = ("module", "_orig_mod", "ema_model")
PRESETS = tuple((size, keypoints) for keypoints in RELEASED_SKELETONS for size in "tsml")


def published_name(name: str) -> str:
    """The name that the released checkpoints have for a parameter or buffer of ours."""
    for published, ours in PREFIXES:
        if name.startswith(ours):
            return published + name.removeprefix(ours)
    return name


def published_state(network: Network) -> Weights:
    """Weights and buffers under their published names, the constants of OKS included. Tensors share memory."""
    state = {published_name(name): value for name, value in network.state_dict().items()}
    return state | {SIGMAS: torch.tensor(network.variant.skeleton.sigmas)}


def load_published(network: Network, source: str | Path, sha256: str = "") -> None:
    """Loads a released checkpoint strictly: every weight and buffer, and nothing else in it.

    Args:
        source: .pth (with `state_dict`, as it is written when an average is kept: the averaged weights), .safetensors
            or .npz; a path, or an address, see `core.weights.fetched`. Names as mmpose's or Focoos'.
        sha256: expected digest of the file or its first digits, hexadecimal; "" does not check.

    Raises:
        Refused: no such file, not a checkpoint, or not this network's: the message names the first differences and
            the preset that fits.
    """
    given = _read(source, sha256)
    network.load_state_dict(_matched(given, network, str(source)))


def open_published(source: str | Path) -> Network:
    """The released network whose weights a file or an address holds, with them; in eval mode.

    Raises:
        Refused: see `load_published`.
    """
    given = _read(source)
    for size, keypoints in PRESETS:
        if _fits(given, size, keypoints):
            network = Network(rtmo(size, keypoints))
            network.load_state_dict(_matched(given, network, str(source)))
            return network.eval()
    raise Refused(f"{source}: not the weights of a released model. {_advice(given)}")


def _read(source: str | Path, sha256: str = "") -> Weights:
    return _without_wrapper(as_tensors(read_weights(str(source), "weights", sha256), str(source)))


def _without_wrapper(state: Weights) -> Weights:
    """The names without what wrappers put before them: parallel, compiled, averaging ones, a whole training program.

    What such a program keeps beside the network, buffers of its metrics or a counter of steps, goes.
    """
    bare = {".".join(word for word in name.split(".") if word not in _WRAPPERS): value for name, value in state.items()}
    if len(bare) < len(state):  # two parts of one program
        return state
    heads = {name.removesuffix(ANCHOR) for name in bare if name.endswith(ANCHOR)}
    if len(heads) != 1:
        return bare
    (head,) = heads
    kept = {name.removeprefix(head): value for name, value in bare.items() if name.startswith(head)}
    return {name: value for name, value in kept.items() if name != "steps"}


def _matched(given: Weights, network: Network, source: str) -> Weights:
    """`given` under our names.

    Raises:
        Refused: names, shapes or constants differ.
    """
    wanted = {published_name(name): (name, value) for name, value in network.state_dict().items()}
    values = {name: value for name, (_, value) in wanted.items()}
    given = _with_constants(_with_counters(given, values), values, network.variant.skeleton.sigmas)
    faults = list(_differences(values, given))
    if faults:
        more = f" and {len(faults) - 3} more" if len(faults) > 3 else ""
        raise Refused(f"{source}: not this network's weights: {'; '.join(faults[:3])}{more}. {_advice(given)}")
    fixed = {name for name in wanted if name.rpartition(".")[2] in CONSTANTS}  # ours have all their digits
    return {name: value if there in fixed else given[there] for there, (name, value) in wanted.items()}


def _with_counters(given: Weights, wanted: Mapping[str, Tensor]) -> Weights:
    """`given`, where it has no counters of batches at all with ours."""
    mine = {name: value for name, value in wanted.items() if name.endswith(COUNTER)}
    return given if mine.keys() & given.keys() else {**given, **mine}


def _with_constants(given: Weights, wanted: Mapping[str, Tensor], constants: Sequence[float]) -> Weights:
    """`given` without the constants that our networks do not hold, and with the others under their published names.

    Releases differ in where a constant buffer stands. Under whatever name, it must have the value that it should
    have; one with another value stays and is reported as unexpected.
    """
    state = dict(given)
    sigmas = torch.tensor(constants)
    for name in [name for name in given if name not in wanted]:
        last = name.rpartition(".")[2]
        homes = [home for home in wanted if home.rpartition(".")[2] == last and home not in state]
        same = [home for home in homes if last in CONSTANTS and _equal(given[name], wanted[home])]
        if same:
            state[same[0]] = wanted[same[0]]
        if same or (last == "sigmas" and _equal(given[name], sigmas)) or _neutral(last, given[name]):
            del state[name]
    return state


def _equal(value: Tensor, expected: Tensor) -> bool:
    """As far as the type of the stored value can tell."""
    digits = max(1e-5, 2 * torch.finfo(value.dtype).eps) if value.is_floating_point() else 1e-5
    if value.shape != expected.shape:
        return False
    return torch.allclose(value.float().cpu(), expected.float().cpu(), rtol=digits)


def _neutral(last: str, value: Tensor) -> bool:
    """A normalisation of images that changes nothing."""
    expected = {"mean": 0.0, "pixel_mean": 0.0, "std": 1.0, "pixel_std": 1.0}.get(last)
    return expected is not None and value.numel() == 3 and bool((value == expected).all())


def _differences(wanted: Mapping[str, Tensor], given: Weights) -> Iterator[str]:
    for name, value in wanted.items():
        if name not in given:
            yield f"{name} missing"
        elif given[name].shape != value.shape:
            yield f"{name} has shape {tuple(given[name].shape)} instead of {tuple(value.shape)}"
        elif name.rpartition(".")[2] in CONSTANTS and not _equal(given[name], value):
            yield f"{name} is a constant and has other values"
    yield from (f"{name} unexpected" for name in given if name not in wanted)


def _advice(given: Weights) -> str:
    fits = [f"rtmo({size!r}, {keypoints})" for size, keypoints in PRESETS if _fits(given, size, keypoints)]
    return f"It fits the preset {fits[0]}" if fits else "It fits no preset t, s, m or l with 17 or 14 key points"


def _fits(given: Weights, size: str, keypoints: int) -> bool:
    return all(name in given and given[name].shape == shape for name, shape in _shapes(size, keypoints).items())


@cache
def _shapes(size: str, keypoints: int) -> dict[str, torch.Size]:
    """Of what a preset learns, by published name."""
    with torch.device("meta"):
        network = Network(rtmo(size, keypoints))
    shapes = {published_name(name): value.shape for name, value in network.state_dict().items()}
    return {name: shape for name, shape in shapes.items() if name.rpartition(".")[2] not in (*CONSTANTS, COUNTER)}
