"""Published weights in, published weights out: the names of the released checkpoints, read strictly.

The released models carry one tensor that is no part of ours, the constants of OKS in the loss; it is compared with the
skeleton's and then dropped.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor

from workbench.core.errors import Refused
from workbench.core.weights import Weights, digits_of
from workbench.models.network import Network
from workbench.models.recognised import advice
from workbench.models.weight_file import WeightFile, read_weight_file
from workbench.models.weight_names import CONSTANTS as CONSTANTS
from workbench.models.weight_names import COUNTER, is_constant, last_word
from workbench.models.weight_names import SIGMAS as SIGMAS
from workbench.models.weight_names import published_name as published_name


def published_state(network: Network) -> Weights:
    """Weights and buffers under their published names, the constants of OKS included. Tensors share memory."""
    state = {published_name(name): value for name, value in network.state_dict().items()}
    return state | {SIGMAS: torch.tensor(network.variant.skeleton.sigmas)}


def load_published(network: Network, source: str | Path, sha256: str = "") -> None:
    """Loads a checkpoint strictly: every weight and buffer, and nothing else in it.

    Args:
        source: .pth (with `state_dict`, as it is written when an average is kept: the averaged weights), .safetensors
            or .npz; a path, or an address, see `core.weights.fetched`; or the folder of a job. Names as mmpose's,
            Focoos' or ours.
        sha256: expected digest of the file or its first digits, hexadecimal; "" does not check.

    Raises:
        Refused: no such file, not a checkpoint, or not this network's: the message names the first differences and
            the preset that fits.
    """
    network.load_state_dict(matched(read_weight_file(source, sha256), network))


def matched(file: WeightFile, network: Network) -> Weights:
    """The weights of a file under the names of a network: all of them, and nothing else in it.

    Raises:
        Refused: names, shapes or constants differ.
    """
    wanted = {published_name(name): (name, value) for name, value in network.state_dict().items()}
    values = {name: value for name, (_, value) in wanted.items()}
    given = with_constants(with_counters(file.tensors, values), values, network.variant.skeleton.sigmas)
    faults = list(_differences(values, given))
    if faults:
        more = f" and {len(faults) - 3} more" if len(faults) > 3 else ""
        raise Refused(f"{file.source}: not this network's weights: {'; '.join(faults[:3])}{more}. {advice(file)}")
    return {name: value if is_constant(there) else given[there] for there, (name, value) in wanted.items()}


def with_counters(given: Weights, wanted: Mapping[str, Tensor]) -> Weights:
    """`given`, where it has no counters of batches at all with ours."""
    mine = {name: value for name, value in wanted.items() if last_word(name) == COUNTER}
    return given if mine.keys() & given.keys() else {**given, **mine}


def with_constants(given: Weights, wanted: Mapping[str, Tensor], constants: Sequence[float]) -> Weights:
    """`given` without the constants that our networks do not hold, and with the others under their published names.

    Releases differ in where a constant buffer stands. Under whatever name, it must have the value that it should
    have; one with another value stays and is reported as unexpected.
    """
    state = dict(given)
    sigmas = torch.tensor(constants)
    for name in [name for name in given if name not in wanted]:
        last = last_word(name)
        homes = [home for home in wanted if last_word(home) == last and home not in state]
        same = [home for home in homes if is_constant(name) and _equal(given[name], wanted[home])]
        if same:
            state[same[0]] = wanted[same[0]]
        if same or (last == "sigmas" and _equal(given[name], sigmas)) or _neutral(last, given[name]):
            del state[name]
    return state


def _equal(value: Tensor, expected: Tensor) -> bool:
    """As far as the digits of the stored value can tell."""
    kind = digits_of([value]) or (value.dtype if value.is_floating_point() else torch.float32)
    digits = max(1e-5, 2 * torch.finfo(kind).eps)
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
        elif is_constant(name) and not _equal(given[name], value):
            yield f"{name} is a constant and has other values"
    yield from (f"{name} unexpected" for name in given if name not in wanted)
