"""Weights under the names of another program: `workbench weights convert`. Names change, numbers do not.

To the workbench's names and back every tensor is the same to the bit: a file of ours keeps what its own names have no
place for, the constants of OKS, in its header.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, get_args

import torch

from workbench.components.backbones.csp_darknet import CSPDarknet
from workbench.components.coords.dcc import DCC
from workbench.components.heads.rtmo_head import RTMOHead
from workbench.components.necks.hybrid_encoder import HybridEncoder
from workbench.core.errors import Refused
from workbench.core.files import write_whole
from workbench.core.weights import Weights
from workbench.models.network import Network
from workbench.models.published import matched, published_state
from workbench.models.recognised import advice, recognised
from workbench.models.variant import Variant
from workbench.models.weight_file import WeightFile, read_weight_file, write_weight_file
from workbench.models.weight_names import FOCOOS_SIGMAS, SIGMAS, Names, is_constant, our_name
from workbench.models.weight_report import network_words

ENDINGS = {"workbench": ".safetensors", "mmpose": ".pth", "focoos": ".pth"}
_RTMO = (CSPDarknet, HybridEncoder, RTMOHead, DCC)  # what the other programs have
_SWITCHES = ("dynamic_allocation", "dynamic_encoding", "gau", "cell_position")  # of the DCC, that add or drop tensors


def convert_weights(source: str | Path, out: Path, to: Names) -> str:
    """Writes the weights of a file, or of the folder of a job, under another program's names. Says what it wrote.

    Args:
        out: ends in .safetensors for "workbench", in .pth for the others.

    Raises:
        Refused: the source holds no weights of a network that is known here; the other program has no such network; or
            `out` can not be written.
    """
    if to not in get_args(Names):
        raise Refused(f"--to {to!r}: expected {' or '.join(get_args(Names))}")
    if out.suffix != ENDINGS[to] or not out.absolute().parent.is_dir():
        raise Refused(f"-o {out}: expected a name ending in {ENDINGS[to]} in a folder that exists")
    file = read_weight_file(source)
    if out.exists() and out.samefile(file.path):
        raise Refused(f"-o {out}: is the file that is read; give another name")
    found = recognised(file)
    if found is None:
        raise Refused(f"{source}: not the weights of a network that is known here. {advice(file)}")
    if to != "workbench":
        _check_components(file, found.variant, to)
    tensors = network_tensors(file, found.variant)
    if to == "workbench":
        named = {our_name(name): value for name, value in tensors.items() if name != SIGMAS}
        write_weight_file(out, named, found.variant, found.size, tensors[SIGMAS])
    else:
        _save(out, _container(tensors, to))
    points, classes = found.variant.num_keypoints, found.variant.num_classes
    return (
        f"{out}: {network_words(found)}, {points} key points, {classes} {'class' if classes == 1 else 'classes'}, "
        f"{len(tensors)} tensors under {to}'s names"
    )


def network_tensors(file: WeightFile, variant: Variant) -> Weights:
    """The tensors of a network as a file has them, under their published names, the constants of OKS included.

    Constants that stand elsewhere in the file, or not at all, are the network's own.

    Raises:
        Refused: they are not this network's.
    """
    network = Network(variant)
    matched(file, network)
    own = published_state(network)
    wanted = (name for name in own if name in file.tensors or is_constant(name) or name == SIGMAS)
    return {name: file.tensors.get(name, own[name]) for name in wanted}


def _check_components(file: WeightFile, variant: Variant, to: Names) -> None:
    parts = (variant.backbone, variant.neck, variant.head, variant.coords)
    for part, known in zip(parts, _RTMO, strict=True):
        if not isinstance(part, known):
            raise Refused(
                f"{file.source}: its {type(part).__name__} is nothing that {to} has in place of {known.__name__}"
            )
    assert isinstance(variant.coords, DCC)
    if odd := [name for name in _SWITCHES if getattr(variant.coords, name) != getattr(DCC(), name)]:
        raise Refused(
            f"{file.source}: its DCC has {', '.join(odd)} switched, which {to}'s can not; it stays in our names"
        )


def _container(tensors: Weights, to: Names) -> dict[str, Any]:
    if to == "mmpose":
        return {"meta": {}, "state_dict": tensors}
    return {"model": {FOCOOS_SIGMAS if name == SIGMAS else name: value for name, value in tensors.items()}}


def _save(out: Path, content: dict[str, Any]) -> None:
    with write_whole(out) as part:
        torch.save(content, part)
