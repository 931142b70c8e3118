"""Annotation files in COCO's form, read piece by piece: persons are handed on one by one, as the text is gone through.

COCO's own training file has 240 MB; parsed as a whole it would take several times that.
"""

from __future__ import annotations

import gc
import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, NoReturn, TextIO, TypeVar

from workbench.core.errors import Refused

_LISTS = ("images", "annotations", "categories")
_OF_IMAGES = ("id", "file_name", "width", "height", "crowdIndex", "absent")
_SPACE = re.compile(r"[ \t\n\r]*")
_DECODER = json.JSONDecoder()
_AFTER = tuple(",]}: \t\n\r")  # what may follow a value
READ_LENGTH = 1 << 20  # characters that are read at a time

T = TypeVar("T")


@dataclass(frozen=True)
class Parsed(Generic[T]):
    """What stands in an annotation file.

    Fields:
        images, categories: as in the file.
        persons: what was made of its annotations.
    """

    images: list[Any]
    categories: list[Any]
    persons: T


def parsed(file: Path, take: Callable[[Iterator[Any]], T]) -> Parsed[T]:
    """The content of an annotation file.

    Args:
        take: is given the annotations one by one, in their order, and makes of them what is to be kept.

    Raises:
        Refused: there is no such file, it can not be read, it is no JSON, or not in COCO's form.
    """
    try:
        with file.open("rb") as raw:
            encoding = json.detect_encoding(raw.read(4))  # which leaves out a mark at the beginning
        with file.open(encoding=encoding, newline="") as opened, _without_collection():
            found = _parts(_Text(opened), take)
    except FileNotFoundError:
        raise Refused(f"no annotation file {file}") from None
    except OSError as error:
        raise Refused(f"annotation file {file} cannot be read: {error.strerror}") from None
    except (ValueError, RecursionError) as error:  # malformed JSON, or bytes that are no text
        raise Refused(f"malformed JSON in {file.name}: {error}") from None
    if found is None:
        raise Refused(f"{file.name} is no COCO annotation file; expected the lists {', '.join(_LISTS)}")
    return found


@contextmanager
def _without_collection() -> Iterator[None]:
    """What JSON holds has no cycles, and to look for them among its lists takes two fifths of the reading."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _parts(text: _Text, take: Callable[[Iterator[Any]], T]) -> Parsed[T] | None:
    """None: it is JSON in another form."""
    if text.sign() != "{":
        text.value()
        text.end()
        return None
    found: dict[str, Any] = {}
    persons: list[T] = []
    text.must("{")
    while text.sign() != "}":
        key = text.value()
        text.must(":")
        if text.sign() != "[":
            found[str(key)] = text.value()
        elif key == "annotations":
            persons = [take(text.elements())]
        else:
            found[str(key)] = [_slim(one) for one in text.elements()]
        if text.sign() != "}":
            text.must(",")
    text.must("}")
    text.end()
    images, categories = found.get("images"), found.get("categories")
    if not persons or not isinstance(images, list) or not isinstance(categories, list):
        return None
    return Parsed(images, categories, persons[0])


def _slim(record: Any) -> Any:
    """An image without its addresses and dates, of which nobody asks, and with our own keys: a fourth of the memory."""
    if not isinstance(record, dict) or "file_name" not in record:
        return record
    return {key: record[key] for key in _OF_IMAGES if key in record}


class _Text:
    """A JSON text of which only a part is in memory: what was read is let go, more is taken when it is needed."""

    def __init__(self, file: TextIO) -> None:
        self.file, self.part, self.at, self.whole = file, "", 0, False
        self.lines, self.columns = 0, 0  # that were let go, of the columns those of the line that goes on
        self._more()

    def sign(self) -> str:
        """The next character that is no space; "" at the end."""
        while True:
            found = _SPACE.match(self.part, self.at)
            self.at = self.at if found is None else found.end()
            if self.at < len(self.part) or self.whole:
                return self.part[self.at : self.at + 1]
            self._more()

    def must(self, sign: str) -> None:
        """Goes over that character, which must be the next one."""
        if self.sign() != sign:
            self._refuse(f"Expecting '{sign}'", self.at)
        self.at += 1

    def value(self) -> Any:
        """The next value; goes over it."""
        self.sign()
        while True:
            try:
                value, end = _DECODER.raw_decode(self.part, self.at)
            except json.JSONDecodeError as error:
                if self.whole:
                    self._refuse(error.msg, error.pos)
            else:
                if self.whole or self.part[end : end + 1] in _AFTER:  # else a number may go on
                    self.at = end
                    return value
            self._more()

    def elements(self) -> Iterator[Any]:
        """Those of the list that comes next; goes over it as they are taken."""
        self.must("[")
        while self.sign() != "]":
            yield self.value()
            if self.sign() != "]":
                self.must(",")
        self.must("]")

    def end(self) -> None:
        """Nothing else may come."""
        if self.sign():
            self._refuse("Extra data", self.at)

    def _more(self) -> None:
        """Lets go what was read and takes as much again as is left, so that long values take few attempts."""
        newest = self.part.rfind("\n", 0, self.at)
        self.lines += self.part.count("\n", 0, self.at)
        self.columns = self.at - newest - 1 + (self.columns if newest < 0 else 0)
        left = self.part[self.at :]
        more = self.file.read(max(READ_LENGTH, len(left)))
        self.part, self.at, self.whole = left + more, 0, not more

    def _refuse(self, what: str, at: int) -> NoReturn:
        error = json.JSONDecodeError(what, self.part, at)
        column = error.colno + (self.columns if error.lineno == 1 else 0)
        raise ValueError(f"{what}: line {self.lines + error.lineno} column {column}")
