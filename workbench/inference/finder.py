"""What finds persons in pictures, by what a user has of it: a trained network in its deployed form, or an ONNX file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from workbench.core.errors import Refused
from workbench.core.keypoints import Skeleton, mirror_of
from workbench.core.skeletons import skeleton_of
from workbench.data.datasets.keypoints import UNIFORM
from workbench.data.find import FindPersonsIn
from workbench.inference.deployed import Deployed, Selection, detections
from workbench.inference.joined_activation import join_activations
from workbench.inference.load import Trained, load_trained
from workbench.models.decode import detect
from workbench.models.job import Protocol
from workbench.models.network import Network
from workbench.models.variant import PERSON
from workbench.tensors import Detections

_Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class WantedPersons:
    """Which persons are wanted; a threshold of None is that of the network's training, or the released one."""

    score_threshold: float | None = None
    nms_threshold: float | None = None
    max_persons: int = Selection.max_persons

    def of(self, trained: Trained | None) -> Selection:
        """Those of a network; None: of one that is not read yet.

        Raises:
            Refused: a value out of range.
        """
        return self.selection(Protocol() if trained is None or trained.job is None else trained.job.protocol)

    def selection(self, protocol: Protocol) -> Selection:
        """
        Raises:
            Refused: a value out of range.
        """
        score = protocol.score_threshold if self.score_threshold is None else self.score_threshold
        nms = min(protocol.nms_threshold, 1.0) if self.nms_threshold is None else self.nms_threshold
        return Selection(score_threshold=score, nms_threshold=nms, max_persons=self.max_persons)


@dataclass(frozen=True)
class PersonFinder:
    """Finds persons in network inputs.

    Fields:
        source: what it came from.
        size: height and width of an input.
        find: see `FindPersonsIn`.
        classes: their names, by label.
        trained: the network behind it; None of a file.
        precision: of its numbers, as a record of training says it.
    """

    source: str
    size: tuple[int, int]
    skeleton: Skeleton
    find: FindPersonsIn
    classes: tuple[str, ...] = (PERSON,)
    trained: Trained | None = None
    precision: str = "float32"


def open_finder(
    what: str, weights: str | Path | None = None, wanted: WantedPersons = WantedPersons(), device: str | None = None
) -> PersonFinder:
    """The finder of whatever `load_trained` reads, or of an ONNX file that `workbench deploy` wrote.

    Args:
        device: cpu or cuda; None: cuda where it is there. An ONNX file runs on the CPU.

    Raises:
        Refused: it can not be had, a value is out of range, or there is no such device.
    """
    if device == "cuda" and not torch.cuda.is_available():
        raise Refused("--device cuda: torch sees no GPU here; leave it out, or give cpu")
    wanted.of(None)  # refuses what is out of range before anything is read
    if Path(what).suffix.lower() == ".onnx":
        if weights is not None or device == "cuda":
            raise Refused(f"{what}: an ONNX file has its own weights and runs on the CPU: no --weights, no cuda")
        return onnx_finder(Path(what), wanted)
    return network_finder(load_trained(what, weights), wanted, device)


def network_finder(
    trained: Trained, wanted: WantedPersons = WantedPersons(), device: str | None = None
) -> PersonFinder:
    """That of a trained network. One that tells classes apart runs as it was trained, all others folded."""
    network, where = trained.network, device or ("cuda" if torch.cuda.is_available() else "cpu")
    variant = network.variant
    selection = wanted.of(trained)
    if variant.num_classes == 1:
        deployed = Deployed(network, selection).to(where)
        join_activations(deployed)
        find = partial(_deployed, deployed, where)
    else:
        find = partial(_plain, network.to(where), where, selection)
    return PersonFinder(trained.source, trained.size, variant.skeleton, find, variant.classes, trained)


def _on(images: _Pixels, device: str) -> torch.Tensor:
    """(B, H, W, 3) uint8 as (B, 3, H, W) float32; the bytes travel."""
    return torch.from_numpy(images).to(device).permute(0, 3, 1, 2).float()


def _deployed(deployed: Deployed, device: str, images: _Pixels) -> list[Detections]:
    dets, keypoints = deployed(_on(images, device))
    return detections(dets.cpu().numpy(), keypoints.cpu().numpy())


def _plain(network: Network, device: str, chosen: Selection, images: _Pixels) -> list[Detections]:
    found = detect(
        network, _on(images, device), score_threshold=chosen.score_threshold, nms_threshold=chosen.nms_threshold
    )
    return [best(one, chosen.max_persons) for one in found]


def best(found: Detections, most: int) -> Detections:
    """The first so many."""
    return replace(
        found,
        boxes=found.boxes[:most],
        scores=found.scores[:most],
        labels=found.labels[:most],
        keypoints=found.keypoints[:most],
        keypoint_scores=found.keypoint_scores[:most],
    )


# ONNX files


def onnx_finder(path: Path, wanted: WantedPersons = WantedPersons()) -> PersonFinder:
    """That of a file which `workbench deploy` wrote; its own thresholds are those of a network without a training.

    Raises:
        Refused: ONNX Runtime is not installed, no such file, it says nothing of its key points, or its thresholds are
            constants and others are wanted.
    """
    try:
        from workbench.inference import onnx_export
    except ImportError as error:
        raise Refused(f"{path}: {error.name} is missing; install rtmo-workbench[onnx]") from error
    if not path.is_file():
        raise Refused(f"{path}: no such file")
    try:
        about, session = onnx_export.read_about(path), onnx_export.Session(path)
    except Exception as error:  # of two libraries, each with its own
        raise Refused(f"{path}: no ONNX file that can be read; write one with workbench deploy") from error
    if "keypoint_names" not in about:
        raise Refused(f"{path}: it does not name its key points; write it with workbench deploy")
    stored = Protocol(
        score_threshold=float(about.get("score_threshold", 0.1)), nms_threshold=float(about.get("nms_threshold", 0.65))
    )
    chosen = wanted.selection(stored)
    limits = _limits(chosen)
    if not session.settings():
        _check_constants(path, chosen, stored)
        limits = {}

    def find(images: _Pixels) -> list[Detections]:
        batch = np.ascontiguousarray(images.transpose(0, 3, 1, 2), np.float32)
        found = session.run({"input": batch, **limits})
        return [best(one, chosen.max_persons) for one in detections(found["dets"], found["keypoints"])]

    precision = about.get("precision", PersonFinder.precision)
    named = (about.get("class_name", PERSON),)  # such a file has one class
    return PersonFinder(str(path), _size(about), _skeleton(about), find, named, precision=precision)


def _check_constants(path: Path, chosen: Selection, stored: Protocol) -> None:
    """The number of persons is no matter: where fewer are wanted, the best are taken."""
    has = (stored.score_threshold, stored.nms_threshold)
    if has != (chosen.score_threshold, chosen.nms_threshold):
        raise Refused(
            f"{path}: its thresholds are constants, {has[0]:g} for scores and {has[1]:g} for NMS; leave others out, or "
            "write it without --fixed"
        )


def _limits(chosen: Selection) -> dict[str, NDArray[Any]]:
    """The inputs of a file that say which persons are kept."""
    return {
        "score_threshold": np.array([chosen.score_threshold], np.float32),
        "nms_threshold": np.array([chosen.nms_threshold], np.float32),
        "max_persons": np.array([chosen.max_persons], np.int64),
    }


def _size(about: Mapping[str, str]) -> tuple[int, int]:
    high, _, wide = about.get("size", "640x640").partition("x")
    return int(high), int(wide)


def _skeleton(about: Mapping[str, str]) -> Skeleton:
    """A published set by its names; of others the constants of OKS are not in the file, and nothing asks for them."""
    names = tuple(about["keypoint_names"].split(","))
    known = skeleton_of(names)
    if known is not None and known.keypoints == names:
        return known
    limbs = tuple((int(a), int(b)) for a, b in json.loads(about.get("skeleton", "[]")))
    try:
        flip = mirror_of(names)
    except Refused:  # only drawings ask for it
        flip = tuple(range(len(names)))
    return Skeleton(name="own", keypoints=names, sigmas=(UNIFORM,) * len(names), flip=flip, limbs=limbs)
