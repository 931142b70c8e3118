"""The categories of a COCO annotation file, found without parsing its images and annotations.

COCO's own training file has 240 MB, of which the categories are one line.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from workbench.core.errors import Refused
from workbench.core.keypoints import check_names

_KEY = re.compile(rb'"categories"\s*:\s*(?=\[)')


@dataclass(frozen=True)
class Category:
    """A category that names its key points.

    Fields:
        id, name: as in the file.
        keypoints: names in the order of the columns.
        limbs: pairs of columns, from 0.
        left_out: limbs that speak of other key points than these.
        flip: the column that mirrors each, where the file says so.
    """

    id: Any
    name: str
    keypoints: tuple[str, ...]
    limbs: tuple[tuple[int, int], ...] = ()
    left_out: int = 0
    flip: tuple[int, ...] | None = None


FileVersion = tuple[Path, int, int]  # a file, its time in ns and its size; 0 and 0 where there is none


def file_version(file: Path) -> FileVersion:
    """What a file is known by in a cache: a change of it is another version."""
    try:
        found = file.stat()
    except OSError:
        return file.absolute(), 0, 0
    return file.absolute(), found.st_mtime_ns, found.st_size


def category_records(file: Path) -> list[Any] | None:
    """What stands under `categories`, not to be changed; None where there is no such file or no such list."""
    return _records(file_version(file))


@lru_cache(maxsize=16)
def _records(version: FileVersion) -> list[Any] | None:
    try:
        content = version[0].read_bytes()
    except OSError:
        return None
    places = [found.end() for found in _KEY.finditer(content)]
    try:
        if len(places) == 1:
            return json.JSONDecoder().raw_decode(content[places[0] :].decode("utf-8"))[0]
        whole = json.loads(content)  # the word stands elsewhere, too
    except (ValueError, RecursionError):
        return None
    found = whole.get("categories") if isinstance(whole, dict) else None
    return found if isinstance(found, list) else None


def with_keypoints(records: Iterable[Any], where: str) -> Iterator[Category]:
    """The categories that name key points.

    Args:
        where: the name of their file, for messages.

    Raises:
        Refused: names that are no words, or one twice.
    """
    for record in records:
        if isinstance(record, Mapping) and record.get("keypoints"):
            said = f"{where}: category {record.get('id')} {record.get('name')!r}"
            names: object = record["keypoints"]
            if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
                raise Refused(f"{said}: its keypoints are {str(names)[:60]}; expected a list of names")
            try:
                check_names(names)
            except Refused as error:
                raise Refused(f"{said}: {error}") from None
            limbs, left_out = _limbs(record.get("skeleton"), len(names))
            yield Category(
                record.get("id"), str(record.get("name")), tuple(names), limbs, left_out, _flip(record.get("flip_idx"))
            )


def _limbs(given: Any, count: int) -> tuple[tuple[tuple[int, int], ...], int]:
    """Limbs count from 1 in COCO's files; where one speaks of key point 0, they count from 0."""
    pairs = [limb for limb in given if _pair(limb)] if isinstance(given, list) else []
    first = 0 if any(0 in limb for limb in pairs) else 1
    limbs = [(a - first, b - first) for a, b in pairs]
    kept = [limb for limb in limbs if all(0 <= k < count for k in limb)]
    return tuple(dict.fromkeys(kept)), len(limbs) - len(kept)


def _pair(limb: Any) -> bool:
    return isinstance(limb, list) and len(limb) == 2 and all(type(k) is int for k in limb)


def _flip(given: Any) -> tuple[int, ...] | None:
    """Each key point mirrors the one that mirrors it."""
    if not isinstance(given, list) or not all(type(k) is int and 0 <= k < len(given) for k in given):
        return None
    return tuple(given) if all(given[given[k]] == k for k in range(len(given))) else None
