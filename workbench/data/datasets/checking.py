"""Whether a data set is fit to train and judge on, as a person or a program reads it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from workbench.core.errors import Refused
from workbench.data.datasets.findings import SHOWN
from workbench.data.datasets.folder import (
    PartLook,
    dataset_classes,
    dataset_fingerprint,
    dataset_keypoints,
    format_of,
    looks,
)


@dataclass(frozen=True)
class Finding:
    """One kind of what was found.

    Fields:
        part: train or val, "" for the whole; file: its annotation file.
        count: how many; 0 where it concerns the whole. first: some of these, annotations by their id, images by name.
    """

    what: str
    count: int = 0
    first: tuple[str, ...] = ()
    part: str = ""
    file: str = ""

    def __str__(self) -> str:
        where = f"{self.part}: " if self.part else ""
        return where + (f"{self.what}: {self.count:,}, first {', '.join(self.first)}" if self.count else self.what)


@dataclass(frozen=True)
class DataReport:
    """
    Fields:
        parts: of each, its annotation file, image folder, and numbers of images and persons to learn from.
        findings: why it is not fit; put_right: what is read otherwise than it stands there, or left out.
    """

    folder: str
    layout: str = ""
    fingerprint: str = ""
    key_points: str = ""
    classes: tuple[str, ...] = ()
    parts: tuple[Mapping[str, Any], ...] = ()
    findings: tuple[Finding, ...] = ()
    put_right: tuple[Finding, ...] = field(default=())

    @property
    def fit(self) -> bool:
        """Whether it can be trained and judged on."""
        return not self.findings

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {"fit": self.fit, **asdict(self)}

    def lines(self) -> list[str]:
        """For people."""
        said = [f"{self.folder}: {self.layout}, {self.fingerprint}".rstrip(", "), self.key_points]
        said += [f"classes: {', '.join(self.classes)}"] if self.classes else []
        said += [
            f"{part['part']}: {part['images']:,} images, {part['persons']:,} persons to learn from, {part['file']}"
            for part in self.parts
        ]
        said += [f"noted: {one}" for one in self.put_right]
        said += [f"WRONG: {one}" for one in self.findings]
        return [*filter(None, said), "fit to train and judge" if self.fit else "NOT fit: correct what is wrong first"]


def data_report(folder: Path, *, decode: bool = False) -> DataReport:
    """What the reading that trains and judges finds in a data folder.

    Args:
        decode: also decode every image, not only look at its first and last bytes.

    Raises:
        Refused: no such folder.
    """
    if not folder.is_dir():
        raise Refused(f"no data folder {folder}; give the folder of a data set")
    layout = ""
    try:
        layout = format_of(folder).name
        fingerprint = dataset_fingerprint(folder)
        said, classes = dataset_keypoints(folder).said, dataset_classes(folder).names
        found = looks(folder, decode=decode)
    except Refused as error:
        return DataReport(str(folder), layout, findings=(Finding(str(error)),))
    parts = tuple(_part(one) for one in found)
    wrong, right = (
        [_finding(part, kind, who) for part, kind, who in kinds] for kinds in (_wrong(found), _right(found))
    )
    return DataReport(str(folder), layout, fingerprint, said, classes, parts, tuple(wrong), tuple(right))


Kinds = Iterable[tuple[PartLook, str, list[str]]]


def _wrong(found: Iterable[PartLook]) -> Kinds:
    return ((part, kind, who) for part in found for kind, who in part.findings.found.items())


def _right(found: Iterable[PartLook]) -> Kinds:
    return ((part, kind, who) for part in found for kind, who in part.findings.noted.items())


def _finding(part: PartLook, kind: str, who: list[str]) -> Finding:
    return Finding(kind, len(who), tuple(who[:SHOWN]), part.split, str(part.file))


def _part(one: PartLook) -> Mapping[str, Any]:
    return {
        "part": one.split,
        "file": str(one.file),
        "image_folder": str(one.images),
        "images": one.count,
        "persons": one.persons,
    }
