"""What a user names as input: pictures, folders of them, patterns, videos, addresses, a camera, standard input."""

from __future__ import annotations

import glob
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Literal
from urllib.parse import unquote, urlsplit

from workbench.core.errors import Refused

PICTURE_ENDINGS = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff", ".gif", ".avif", ".jp2", ".ppm", ".pgm")
VIDEO_ENDINGS = (".mp4", ".avi", ".mov", ".mkv", ".webm", ".m4v", ".mpg", ".mpeg", ".wmv")
STDIN = "-"
_WRITTEN = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff")  # a drawing keeps these formats
_ADDRESS = ("http://", "https://")
_MAGIC = set("*?[")

SourceKind = Literal["picture", "video", "camera", "stdin"]


@dataclass(frozen=True, slots=True)
class InputSource:
    """One input.

    Fields:
        name: its path or address, the number of a camera, or `STDIN`.
        place: of what is drawn on it, below the folder of the results.
    """

    kind: SourceKind
    name: str
    place: Path

    @property
    def moves(self) -> bool:
        """Whether it has frames."""
        return self.kind in ("video", "camera")


def find_sources(given: Sequence[str], out: Path) -> list[InputSource]:
    """Every picture and video that the words name, each once, in their order; those of a folder in that of their names.

    Args:
        given: paths, folders, patterns, addresses, numbers of cameras, or `STDIN`.
        out: folder of the results; what lies in it is no input of a folder that holds it.

    Raises:
        Refused: a word that names nothing, or a drawing that would be written over its picture.
    """
    found: dict[tuple[SourceKind, str], InputSource] = {}
    taken: set[Path] = set()
    for word in given:
        for kind, name, place in _named(word, out):
            if (kind, name) not in found:
                found[kind, name] = InputSource(kind, name, _free(place, taken))
    for one in found.values():
        if one.kind in ("picture", "video") and Path(one.name).resolve() == (out / one.place).resolve():
            raise Refused(f"-o {out}: the drawing of {one.name} would be written over it; name another folder")
    return list(found.values())


_Found = tuple[SourceKind, str, Path]


def _named(word: str, out: Path) -> Iterator[_Found]:
    path = Path(word)
    if word == STDIN:
        yield "stdin", word, Path("stdin.jpg")
    elif word.lower().startswith(_ADDRESS):
        yield "picture", word, _place(unquote(PurePosixPath(urlsplit(word).path).name) or "picture")
    elif path.is_dir():
        yield from _of_folder(path, out)
    elif path.exists():
        yield _file(path, path.name)
    elif word.isdecimal():
        yield "camera", str(int(word)), Path(f"camera{int(word)}.mp4")
    elif _MAGIC & set(word):
        yield from _of_pattern(word, out)
    else:
        raise Refused(f"{word}: no such file or folder; expected pictures, videos, folders, 'patterns*', - or a camera")


def _of_folder(folder: Path, out: Path) -> Iterator[_Found]:
    """All that lies in it or below it and has a known ending; hidden files are none."""
    known, results = (*PICTURE_ENDINGS, *VIDEO_ENDINGS), out.resolve()
    found = False
    for path in sorted(folder.rglob("*")):
        below = path.relative_to(folder)
        hidden = any(part.startswith(".") for part in below.parts)
        inside = results != folder.resolve() and path.resolve().is_relative_to(results)
        if path.suffix.lower() in known and path.is_file() and not hidden and not inside:
            found = True
            yield _file(path, str(below))
    if not found:
        raise Refused(f"{folder}: no picture or video in it; known endings are {', '.join(known)}")


def _of_pattern(word: str, out: Path) -> Iterator[_Found]:
    paths = sorted(glob.glob(word, recursive=True))
    if not paths:
        raise Refused(f"{word}: no file fits this pattern")
    for path in map(Path, paths):
        if path.is_dir():
            yield from _of_folder(path, out)
        else:
            yield _file(path, path.name)


def _file(path: Path, below: str) -> _Found:
    video = path.suffix.lower() in VIDEO_ENDINGS
    return ("video", str(path), Path(below).with_suffix(".mp4")) if video else ("picture", str(path), _place(below))


def _place(below: str) -> Path:
    """The drawing of a picture has its format where that can be written."""
    path = Path(below)
    return path if path.suffix.lower() in _WRITTEN else path.with_name(f"{path.name}.jpg")


def _free(place: Path, taken: set[Path]) -> Path:
    """The place, numbered where another input has it."""
    free, number = place, 1
    while free in taken:
        number += 1
        free = place.with_name(f"{place.stem}-{number}{place.suffix}")
    taken.add(free)
    return free


def image_numbers(sources: Iterable[InputSource]) -> dict[str, int]:
    """The id of each picture in COCO's results form: its name, where all are different numbers, else 1, 2, 3, ..."""
    names = [one.name for one in sources if not one.moves]
    stems = [Path(name).stem for name in names]
    numbers = [int(stem) for stem in stems if stem.isascii() and stem.isdecimal()]
    own = len(set(numbers)) == len(names)
    return dict(zip(names, numbers if own else range(1, len(names) + 1), strict=True))
