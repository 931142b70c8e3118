"""Annotation files in COCO's form, read piece by piece: persons are handed on one by one, as the text is gone through.

COCO's own training file has 240 MB; parsed as a whole it would take several times that.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from workbench.core.errors import Refused

_LISTS = ("images", "annotations", "categories")
_SPACE = re.compile(r"[ \t\n\r]*")
_DECODER = json.JSONDecoder()

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
        content = file.read_bytes()
    except FileNotFoundError:
        raise Refused(f"no annotation file {file}") from None
    except OSError as error:
        raise Refused(f"annotation file {file} cannot be read: {error.strerror}") from None
    try:
        text = content.decode(json.detect_encoding(content))  # a mark of the encoding at its beginning is left out
        del content
        found = _parts(text, take)
    except (ValueError, RecursionError) as error:  # malformed JSON, or bytes that are no text
        raise Refused(f"malformed JSON in {file.name}: {error}") from None
    if found is None:
        raise Refused(f"{file.name} is no COCO annotation file; expected the lists {', '.join(_LISTS)}")
    return found


def _parts(text: str, take: Callable[[Iterator[Any]], T]) -> Parsed[T] | None:
    """None: it is JSON in another form."""
    at = _after(text, 0)
    if text[at : at + 1] != "{":
        json.loads(text)
        return None
    found: dict[str, Any] = {}
    persons: list[T] = []
    at = _after(text, at + 1)
    while text[at : at + 1] != "}":
        key, at = _value(text, at)
        at = _must(text, at, ":")
        if key == "annotations" and text[at : at + 1] == "[":
            walk = _Walk(text, at)
            persons = [take(iter(walk))]
            at = walk.end
        else:
            found[key], at = _value(text, at)
        if text[at : at + 1] != "}":
            at = _must(text, at, ",")
    if _after(text, at + 1) != len(text):
        raise json.JSONDecodeError("Extra data", text, at + 1)
    images, categories = found.get("images"), found.get("categories")
    if not persons or not isinstance(images, list) or not isinstance(categories, list):
        return None
    return Parsed(images, categories, persons[0])


class _Walk:
    """The elements of a list. Once it is gone through, `end` is where the text goes on behind it."""

    def __init__(self, text: str, at: int) -> None:
        self.text, self.end = text, _after(text, at + 1)

    def __iter__(self) -> Iterator[Any]:
        text, at = self.text, self.end
        while text[at : at + 1] != "]":
            one, at = _value(text, at)
            if text[at : at + 1] != "]":
                at = _must(text, at, ",")
            yield one
        self.end = _after(text, at + 1)


def _value(text: str, at: int) -> tuple[Any, int]:
    """A value, and where the text goes on behind it and its space."""
    value, at = _DECODER.raw_decode(text, at)
    return value, _after(text, at)


def _after(text: str, at: int) -> int:
    found = _SPACE.match(text, at)
    return at if found is None else found.end()


def _must(text: str, at: int, sign: str) -> int:
    if text[at : at + 1] != sign:
        raise json.JSONDecodeError(f"Expecting '{sign}'", text, at)
    return _after(text, at + 1)
