"""The classes of a data set: by name, over the files it is trained and judged on.

A class is a category that has annotations and, where any category does, names key points. Its label is the same in all
files, whatever its id in each.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from workbench.core.errors import Refused
from workbench.data.datasets.categories import FileVersion, category_records, file_version
from workbench.data.datasets.pictures import identity

_USED = re.compile(rb'"category_id"\s*:\s*"?([^",}\s]+)')
NO_CLASS = -1  # of a category that names no key points


@dataclass(frozen=True)
class DataClasses:
    """
    Fields:
        names: of the classes, in the order of their labels.
        labels: of each file, by the category's id as text: the label, or `NO_CLASS`.
        empty: names of categories that nobody has or that name no key points, which are left out.
    """

    names: tuple[str, ...]
    labels: Mapping[Path, Mapping[str, int]]
    empty: tuple[str, ...] = ()


def category_key(given: Any) -> str:
    """A category's id as it is compared: 1, 1.0 and "1" are the same one."""
    return str(identity(given))


def classes_of(train: Path, *judged: Path) -> DataClasses:
    """The classes of annotation files; one that can not be read has none.

    Raises:
        Refused: an id stands for two categories, or a class is judged that is not trained.
    """
    return _classes((train, *judged), tuple(map(file_version, (train, *judged))))


@lru_cache(maxsize=16)
def _classes(paths: tuple[Path, ...], versions: tuple[FileVersion, ...]) -> DataClasses:
    """Of files as they are now; `versions` are theirs."""
    records = {file: [one for one in category_records(file) or () if isinstance(one, Mapping)] for file in paths}
    known = {file: _named(records[file], file) for file in paths}
    every = {_compared(name): name for file in paths for name in known[file].values()}
    bare = _without_keypoints(records)
    for file, keys in bare.items():
        for key in keys & known[file].keys():
            del known[file][key]
    several = max(map(len, known.values())) > 1
    used = {file: _used(file) if several else set(known[file]) for file in paths}
    names: dict[str, str] = {}  # as compared: as written
    for file in paths:
        here = {_compared(name): name for key, name in known[file].items() if key in used[file]}
        if file != paths[0] and names and (others := [name for same, name in here.items() if same not in names]):
            raise Refused(
                f"{file.name} has category {', '.join(map(repr, others))}, which {paths[0].name} has not (it has "
                f"{', '.join(map(repr, names.values()))}): give a class the same name in all files"
            )
        names = names or here
    place = {name: label for label, name in enumerate(names)}
    labels = {
        file: {key: place[_compared(name)] for key, name in known[file].items() if _compared(name) in place}
        | dict.fromkeys(bare[file], NO_CLASS)
        for file in paths
    }
    return DataClasses(tuple(names.values()), labels, tuple(name for same, name in every.items() if same not in names))


def _without_keypoints(records: Mapping[Path, Sequence[Mapping[str, Any]]]) -> dict[Path, set[str]]:
    """Ids of the categories that name no key points, where any do: nobody of theirs can be learnt from."""
    keys = {
        file: [(category_key(one.get("id")), bool(one.get("keypoints"))) for one in found]
        for file, found in records.items()
    }
    if not any(named for found in keys.values() for _, named in found):
        return {file: set() for file in records}
    return {file: {key for key, _ in found} - {key for key, named in found if named} for file, found in keys.items()}


def _named(records: Sequence[Mapping[str, Any]], file: Path) -> dict[str, str]:
    """The name of each category, by its id as text, in the order of the ids."""
    found: dict[str, str] = {}
    whole = [one for one in records if identity(one.get("id")) is not None]
    for one in sorted(whole, key=lambda one: (str(type(identity(one["id"]))), identity(one["id"]))):
        key, name = category_key(one["id"]), str(one.get("name", one["id"]))
        if _compared(found.setdefault(key, name)) != _compared(name):
            raise Refused(f"{file.name}: category id {key} is {found[key]!r} and {name!r}; give each its own")
    return found


def _compared(name: str) -> str:
    return " ".join(name.casefold().split())


def _used(file: Path) -> set[str]:
    """Ids of the categories that annotations have; the file is not parsed for it."""
    try:
        content = file.read_bytes()
    except OSError:
        return set()
    if not (encoding := json.detect_encoding(content[:4])).startswith("utf-8"):
        content = content.decode(encoding, "replace").encode()
    return {category_key(one.group(1).decode("utf-8", "replace")) for one in _USED.finditer(content)}
