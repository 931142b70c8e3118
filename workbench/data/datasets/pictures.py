"""The images of an annotation file: their ids, names and sizes, put right where they can be."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

from workbench.core.errors import printable
from workbench.data.datasets.findings import Findings
from workbench.data.datasets.images import image_header

LARGEST_ID = 2**53  # ids above are numbered anew: not every reader of JSON keeps them apart

Identity = int | str


@dataclass(slots=True)
class ImageEntry:
    """One image of a file.

    Fields:
        id: in the truth and of samples; file: below the image folder.
        first, last: which of the table's `order` are its persons.
        absent: key points that its annotators did not label.
    """

    id: int
    file: str
    width: int
    height: int
    crowd_index: float = 0.0
    first: int = 0
    last: int = 0
    absent: tuple[int, ...] = ()


def identity(given: Any) -> Identity | None:
    """An id as it is compared: 7, 7.0 and "7" are the same one; None where it is none."""
    if type(given) is int:
        return given
    if isinstance(given, float) and given.is_integer():
        return int(given)
    if isinstance(given, str) and given:
        return int(given) if given.isascii() and given.isdecimal() and len(given) < 300 else given
    return None


def pictures_of(records: Iterable[Any], folder: Path, findings: Findings) -> tuple[list[ImageEntry], dict[Any, int]]:
    """The images, and the place of each by its id in the file (see `identity`)."""
    pictures: list[ImageEntry] = []
    places: dict[Any, int] = {}
    for at, record in enumerate(records):
        name = identity(record.get("id")) if isinstance(record, Mapping) else None
        file = record.get("file_name") if isinstance(record, Mapping) else None
        if name is None or not isinstance(file, str) or not file:
            findings.add("images without a whole id and file_name", f"images[{at}]")
            continue
        if name in places:
            findings.add("images with an id that is taken", name)
            continue
        if isinstance(record["id"], str) and isinstance(name, int):
            findings.note("image ids in quotes, read as numbers", name)
        places[name] = len(pictures)
        pictures.append(_entry(record, file, folder, findings))
    _twice(pictures, findings)
    _number(pictures, list(places), findings)
    return pictures, places


def _entry(record: Mapping[str, Any], file: str, folder: Path, findings: Findings) -> ImageEntry:
    if "\\" in file:
        findings.note("file names with a backslash, read as a slash", file)
        file = file.replace("\\", "/")
    if leaves(file):
        findings.note("file names that lead out of the image folder, read as their last part", file)
        file = PurePosixPath(file).name
        if leaves(file):
            findings.add("file_name leaves the image folder", file)
    if file in ("", ".") or printable(file) != file:
        findings.add("file_name is no file's name", printable(file)[:80] or "''")
        file = "no file's name"
    sides = [_side(record.get(side)) for side in ("width", "height")]
    if min(sides) < 1:
        header = image_header(folder / file)
        if isinstance(header, str):
            findings.add("images without an extent, and no file that tells it", file)
        elif header.upright != (header.width, header.height):
            findings.add("images without an extent, with an orientation tag that leaves open which it is", file)
        else:
            findings.note("images without width and height, taken from the files", file)
            sides = [header.width, header.height]
    given = record.get("absent")
    absent = tuple(k for k in given if type(k) is int) if isinstance(given, list) else ()
    return ImageEntry(0, file, *sides, crowd_index=_number_or_zero(record.get("crowdIndex")), absent=absent)


def _side(given: Any) -> int:
    """0 where it is none."""
    number = _number_or_zero(given)
    return int(number) if 0 < number < 1e6 and number == int(number) else 0


def _number_or_zero(given: Any) -> float:
    try:
        return float(given)
    except (TypeError, ValueError, OverflowError):
        return 0.0


def _twice(pictures: Iterable[ImageEntry], findings: Findings) -> None:
    """An image under two ids has its persons apart: those of the one are missing on the other."""
    seen: set[str] = set()
    for picture in pictures:
        if picture.file in seen:
            findings.add("images that stand in the file more than once", picture.file)
        seen.add(picture.file)


def _number(pictures: list[ImageEntry], names: list[Identity], findings: Findings) -> None:
    """The ids of the file where all are whole numbers of a usual size, else 1, 2, 3, ..."""
    odd = [name for name in names if not isinstance(name, int) or abs(name) >= LARGEST_ID]
    if odd:
        findings.note("image ids that are text or very large: all images are numbered anew", *odd)
    for at, (picture, name) in enumerate(zip(pictures, names, strict=True), start=1):
        picture.id = at if odd or isinstance(name, str) else name


def leaves(name: str) -> bool:
    """Whether a file name points out of its folder, on any system."""
    if name[:1] not in "/\\" and ":" not in name and ".." not in name:
        return False  # nearly all: the rest takes its time
    return any(p.is_absolute() or p.drive or ".." in p.parts for p in (PurePosixPath(name), PureWindowsPath(name)))
