"""How a network is named, on every command line and in Python alike: what kind of thing a word means.

It needs neither torch nor the tables of networks, so that a word which means nothing is refused at once.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from pathlib import Path
from typing import Literal

from workbench.core.errors import Refused
from workbench.core.study_files import check_study

NetworkKind = Literal["release", "preset", "backbone", "row", "onnx", "folder", "file"]
_UNTRAINED = ("preset", "backbone", "row")  # kinds of networks that come without weights
_FILES = (".pth", ".pt", ".ckpt", ".safetensors", ".npz", ".onnx")
_ROW = re.compile(r"(\w{2,}):(.+)")


def kind_of(what: str, releases: Collection[str], presets: Collection[str]) -> NetworkKind:
    """What `what` names. A release and a preset go before a file or folder of that name, which is `./NAME`.

    Args:
        what: a release ("rtmo-s-coco") or a preset ("rtmo-s"), also with "_" for "-"; the folder of a job; a file of
            weights, here or at an address; an ONNX file; a row of a study ("ablate_dcc:regression"); or a backbone in
            RTMO-s ("stdc1-rtmo"). Whether the last two exist is found out where they are built.

    Raises:
        Refused: it names nothing; the message lists what there is.
    """
    name, path = what.replace("_", "-"), Path(what)
    if name in releases:
        return "release"
    if name in presets:
        return "preset"
    if path.is_dir():
        return "folder"
    if path.is_file() or what.lower().startswith(("http://", "https://")):
        return "onnx" if path.suffix == ".onnx" else "file"
    if row := _ROW.fullmatch(what):
        check_study(row[1])
        return "row"
    if what.endswith("-rtmo"):
        return "backbone"
    if "/" in what or path.suffix.lower() in _FILES:
        raise Refused(f"{what}: no such file or folder; expected a file of weights, or the folder of a job")
    raise Refused(f"no network {what!r}; {listed_networks(releases, presets)}")


def listed_networks(releases: Collection[str], presets: Collection[str]) -> str:
    """What a network can be named by, in words."""
    return (
        f"there are {', '.join(presets)}; BACKBONE-rtmo, as in stdc1-rtmo and resnet50-rtmo; released with weights "
        f"{', '.join(releases)}; STUDY:ROW, as in ablate_dcc:regression; a file of weights; and the folder of a job "
        "(job.json and weights.safetensors)"
    )


def row_of(what: str) -> tuple[str, str]:
    """Study and label of a name of the kind "row"."""
    study, _, label = what.partition(":")
    return study, label


def check_weights(what: str, kind: NetworkKind, weights: object) -> None:
    """Refuses a network without weights, and weights for one that has its own.

    Args:
        kind: of `what`, see `kind_of`; weights: the file that is given beside it, None for none.

    Raises:
        Refused: the message says what to do.
    """
    if weights is not None and kind in ("file", "folder", "onnx"):
        raise Refused(
            f"{what}: has weights of its own; leave out the others ({weights}), or name a preset in its place"
        )
    if weights is None and kind in _UNTRAINED:
        word = {"preset": "a preset", "backbone": "a backbone in RTMO-s", "row": "the row of a study"}[kind]
        raise Refused(
            f"{what}: {word} has no weights; add a file that has some (--weights FILE), or name a released model, a "
            "file of weights or the folder of a job, runs/jobs/KEY"
        )


def check_no_onnx(what: str, kind: NetworkKind, reason: str) -> None:
    """Refuses an ONNX file where none is of use.

    Args:
        reason: what an ONNX file has not that is needed, as "has no parts to count".
    """
    if kind == "onnx":
        raise Refused(f"{what}: an ONNX file {reason}; name what it was made from, such as the folder of a job")
