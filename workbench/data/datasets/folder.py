"""Which data set a folder holds, and its fingerprint. A new format is a file of its own and an entry of `FORMATS`."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Literal

from workbench.core.errors import Refused
from workbench.data.datasets.annotations import Annotated
from workbench.data.datasets.coco import CocoKeypoints
from workbench.data.datasets.crowdpose import CrowdPose
from workbench.data.datasets.keypoints import DataKeypoints
from workbench.data.datasets.side_file import SIDE_FILE

Split = Literal["train", "val"]

FORMATS: tuple[type[Annotated], ...] = (CocoKeypoints, CrowdPose)  # asked in this order


def format_of(folder: Path) -> type[Annotated]:
    """The format of a data folder.

    Raises:
        Refused: no such folder, or it has no known format.
    """
    if not folder.is_dir():
        raise Refused(f"no data folder {folder}; give the folder of {' or '.join(one.name for one in FORMATS)}")
    for one in FORMATS:
        if one.holds(folder):
            return one
    known = "; ".join(f"{one.name} ({one.layout})" for one in FORMATS)
    raise Refused(f"{folder} holds no data set of a known format: {known}; give the folder that holds one of them")


def open_dataset(folder: Path | str, split: Split) -> Annotated:
    """The training or the evaluation part of the data set that a folder holds, checked whole.

    Raises:
        Refused: no such folder, no known format, or something in it is wrong.
    """
    root = Path(folder)
    found = format_of(root)
    dataset = found(root, found.splits(root)[split == "val"])
    dataset.check()
    return dataset


def dataset_keypoints(folder: Path) -> DataKeypoints:
    """The key points of the data set that a folder holds; of its files only the categories are looked at.

    Raises:
        Refused: no such folder, no known format, or nothing says which key points it has.
    """
    return format_of(folder).keypoints(folder)


def dataset_fingerprint(folder: Path) -> str:
    """The name of a data set on disk: its folder's name and a digest of its annotation files, which are not parsed,
    and of the side file where there is one.

    Raises:
        Refused: no such folder, no known format, or an annotation file that is missing or cannot be read.
    """
    digest, found = hashlib.sha256(), format_of(folder)
    for split in found.splits(folder):
        file = found.annotation_file(folder, split)
        try:
            digest.update(file.read_bytes())
        except OSError as error:
            why = error.strerror or "cannot be read"
            raise Refused(f"annotation file {file}: {why}; {found.name} has {found.layout}") from error
    if (side := folder / SIDE_FILE).is_file():
        digest.update(side.read_bytes())
    return f"{folder.resolve().name}@{digest.hexdigest()[:8]}"
