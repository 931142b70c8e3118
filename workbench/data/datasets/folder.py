"""Which data set a folder holds, and its fingerprint. A new format is a file of its own and an entry of `FORMATS`."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Literal

from workbench.core.errors import DataFault, Refused
from workbench.core.patience import told_if_long
from workbench.data.datasets.annotations import Annotated
from workbench.data.datasets.categories import FileVersion, file_version
from workbench.data.datasets.classes import DataClasses
from workbench.data.datasets.coco import CocoKeypoints
from workbench.data.datasets.crowdpose import CrowdPose
from workbench.data.datasets.findings import Findings
from workbench.data.datasets.keypoints import DataKeypoints
from workbench.data.datasets.listed import ListedFiles
from workbench.data.datasets.roboflow import Roboflow
from workbench.data.datasets.side_file import SIDE_FILE
from workbench.data.datasets.yolo import YoloPose

Split = Literal["train", "val"]

FORMATS: tuple[type[Annotated], ...] = (CocoKeypoints, CrowdPose, Roboflow, YoloPose, ListedFiles)  # asked in turn
_NO_IMAGES = {".json", ".txt", ".yaml", ".yml", ".csv", ".md", ".cache", ".npy", ".db"}  # what also lies beside images


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

    It is parsed and looked at once in a process, as long as neither annotations nor images change.

    Raises:
        Refused: no such folder, no known format, or something in it is wrong.
    """
    root = Path(folder)
    with told_if_long(f"reading annotations of {root}"):
        dataset = _opened(root, split, _digest(root, format_of(root)))
        dataset.check()
    return dataset


@dataclass(frozen=True)
class PartLook:
    """What was found in one part of a data set.

    Fields:
        file: of its annotations, as it was given; images: their folder; count: of its images, persons: of its targets.
        findings: what is wrong, and what was put right.
    """

    split: Split
    file: Path
    images: Path
    count: int
    persons: int
    findings: Findings

    def notes(self) -> list[str]:
        """What was put right, each with the part."""
        return [f"{self.split}: {line}" for line in self.findings.notes()]


def looks(folder: Path, *, decode: bool = False) -> list[PartLook]:
    """Both parts of a data set, each looked at as it is before it is trained or judged on.

    Args:
        decode: also decode every image.

    Raises:
        Refused: no such folder, no known format, or files that do not fit each other.
    """
    splits: tuple[Split, Split] = ("train", "val")
    with told_if_long(f"reading annotations of {folder}"):
        digest = _digest(folder, format_of(folder))
        train, val = opened = [_opened(folder, split, digest) for split in splits]
    findings = [part.look(decode=decode).copied() for part in opened]
    if both := set(train.image_files).intersection(val.image_files):
        findings[1].add("images that are trained on as well", *map(os.path.basename, sorted(both)))
    return [
        PartLook(split, part.given, part.images, len(part), part.persons, found)
        for split, part, found in zip(splits, opened, findings, strict=True)
    ]


@lru_cache(maxsize=4)
def _opened(folder: Path, split: Split, digest: str) -> Annotated:
    """Of files as they are now; `digest` is theirs."""
    found = format_of(folder)
    return found(folder, found.splits(folder)[split == "val"])


def checked(folder: Path) -> list[PartLook]:
    """The same of a data set that is fit.

    Raises:
        DataFault: what is wrong with both parts, one line for each kind, with its count and the first offenders.
    """
    found = looks(folder)
    if faults := [line for part in found if part.findings for line in faulty_lines(part)]:
        raise DataFault(f"{folder} cannot be trained or judged on; correct it first:" + "".join(faults))
    return found


def faulty_lines(part: PartLook) -> list[str]:
    """What is wrong with a part, for a message."""
    where = f"\n  {part.file} with the images of {part.images}:"
    return [where, *(f"\n    {line}" for line in part.findings.lines())]


def dataset_keypoints(folder: Path) -> DataKeypoints:
    """The key points of the data set that a folder holds; of its files only the categories are looked at.

    Raises:
        Refused: no such folder, no known format, or nothing says which key points it has.
    """
    return format_of(folder).keypoints(folder)


def dataset_classes(folder: Path) -> DataClasses:
    """The classes of the data set that a folder holds.

    Raises:
        Refused: no such folder, no known format, or its files do not agree on the classes.
    """
    return format_of(folder).class_names(folder)


def dataset_fingerprint(folder: Path) -> str:
    """The name of a data set on disk: its format and a digest of its annotation files, which are not parsed, of names,
    sizes and times of its images, and of the side file where there is one. The folder's own name is no part of it.

    Raises:
        Refused: no such folder, no known format, or an annotation file that is missing or cannot be read.
    """
    found = format_of(folder)
    for split in found.splits(folder):
        file = found.annotation_file(folder, split)
        if not os.access(file, os.R_OK):
            why = "cannot be read" if file.exists() else "there is no such file"
            raise Refused(f"annotation file {file}: {why}; {found.name} has {found.layout}")
    return f"{found.name.lower()}@{_digest(folder, found)[:8]}"


def _digest(folder: Path, found: type[Annotated]) -> str:
    """Of what is there."""
    digest, splits = hashlib.sha256(), found.splits(folder)
    for file in (*(found.annotation_file(folder, split) for split in splits), folder / SIDE_FILE):
        if file.is_file() and os.access(file, os.R_OK):
            digest.update(_content(file_version(file)))
    for images in dict.fromkeys(place for split in splits for place in found.image_folders(folder, split)):
        for line in _files(images):
            digest.update(line.encode("utf-8", "surrogateescape"))
    return digest.hexdigest()


@lru_cache(maxsize=16)
def _content(version: FileVersion) -> bytes:
    """The digest of a file as it is now, which is read once."""
    with version[0].open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").digest()


def _files(folder: Path, below: str = "") -> Iterator[str]:
    """A line with name, size and time of each image below a folder, in order."""
    try:
        found = sorted(os.scandir(folder), key=lambda one: one.name, reverse=True)
    except OSError:
        return  # which the check tells
    while found:
        one = found.pop()  # each keeps what it is asked for: of COCO's, 80 MB
        if one.is_dir():
            yield from _files(Path(one.path), f"{below}{one.name}/")
        elif not one.name.startswith(".") and os.path.splitext(one.name)[1].lower() not in _NO_IMAGES:
            try:
                known = one.stat()
            except OSError:  # a link that leads nowhere
                continue
            yield f"{below}{one.name}\0{known.st_size}\0{known.st_mtime_ns}\n"
