"""Annotation files that lie anywhere, each with its image folder, taken together as one data set.

sets.json     {"train": [["a/labels.json", "a/images"], ...], "val": [["b/labels.json", "b/images"]]}

The files may have different key points: all are brought to those of the first file that is judged. Points that a file
does not know are not labelled and have no weight, so nothing is learnt of them from it (as the set body7 of the
released models). Points that only others know are left out.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, final

from workbench.core.errors import Refused
from workbench.core.files import write_whole
from workbench.core.keypoints import canonical
from workbench.data.datasets.categories import Category, category_records, with_keypoints
from workbench.data.datasets.classes import category_key
from workbench.data.datasets.converted import TOLD_AS, CocoContent, Converted, converted
from workbench.data.datasets.parsing import parsed
from workbench.data.datasets.pictures import identity
from workbench.data.datasets.side_file import SIDE_FILE

LIST = "sets.json"


@dataclass(frozen=True)
class _Columns:
    """Where each of the target's key points stands among the `count` of a file, -1 for nowhere."""

    order: tuple[int, ...]
    count: int


Parts = Sequence[tuple[Path, Path]]  # annotation files, each with its image folder


@final
class ListedFiles(Converted):
    """A list of annotation files with folders, put into one file in COCO's form once."""

    name = "list"
    layout = 'sets.json: {"train": [["annotations.json", "image folder"], ...], "val": [...]}'

    @classmethod
    def holds(cls, folder: Path) -> bool:
        """Whether the folder has such a list."""
        return (folder / LIST).is_file()

    @classmethod
    def annotation_file(cls, folder: Path, split: str) -> Path:
        """The file in COCO's form that is made of all of a split.

        Raises:
            Refused: a file is missing, or knows none of the key points.
        """
        parts = _listed(folder)
        files = [file for part in parts.values() for file, _ in part]
        return converted(
            f"list1-{split}",
            [folder / LIST, folder / SIDE_FILE, *files],
            partial(_content, parts[split], _target(parts["val"][0][0]), _root(parts)),
        )

    @classmethod
    def given_file(cls, folder: Path, split: str) -> Path:
        """The annotation file where it is but one, else the list."""
        files = {file for file, _ in _listed(folder)[split]}
        return files.pop() if len(files) == 1 else folder / LIST

    @classmethod
    def image_folder(cls, folder: Path, split: str) -> Path:
        """The folder that holds all image folders; names of images begin there."""
        return _root(_listed(folder))

    @classmethod
    def image_folders(cls, folder: Path, split: str) -> Sequence[Path]:
        """Those of the list: what holds them all may hold anything."""
        return [images.resolve() for _, images in _listed(folder)[split]]


def write_list(folder: Path, train: Parts, val: Parts) -> Path:
    """Writes the list of a data set into a folder, which is then the data set's."""
    folder.mkdir(parents=True, exist_ok=True)
    made = {
        name: [[str(path.resolve()) for path in part] for part in parts]
        for name, parts in (("train", train), ("val", val))
    }
    file, text = folder / LIST, json.dumps(made, indent=1)
    if not file.is_file() or file.read_text("utf-8") != text:  # else what was made of it would be made anew
        with write_whole(file) as part:
            part.write_text(text, "utf-8")
    return folder


def _listed(folder: Path) -> dict[str, list[tuple[Path, Path]]]:
    file = folder / LIST
    try:
        said = json.loads(file.read_text("utf-8"))
        found = {name: [(folder / a, folder / b) for a, b in said[name]] for name in ("train", "val")}
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise Refused(f"{file} can not be understood ({error!r}); expected {ListedFiles.layout}") from None
    for part in (one for parts in found.values() for one in parts):
        if not part[0].is_file() or not part[1].is_dir():
            raise Refused(f"{file}: no annotation file {part[0]}" if not part[0].is_file() else f"no folder {part[1]}")
    if not all(found.values()):
        raise Refused(f"{file}: an empty list; expected {ListedFiles.layout}")
    return found


def _root(parts: Mapping[str, Parts]) -> Path:
    return Path(os.path.commonpath([folder.resolve() for part in parts.values() for _, folder in part]))


def _target(file: Path) -> Category | None:
    """The category whose key points all are brought to; None where the file names none, as all files must then."""
    return next(iter(with_keypoints(category_records(file) or (), file.name)), None)


def _content(parts: Parts, target: Category | None, root: Path) -> CocoContent:
    made: CocoContent = {"images": [], "annotations": [], "categories": []}
    for file, folder in parts:
        found = parsed(file, list)
        columns = _columns(file, found.categories, target)
        prefix = Path(os.path.relpath(folder.resolve(), root))
        ids = _add_images(made, found.images, prefix, _absent(columns))
        records = [one for one in found.categories if isinstance(one, dict)]
        names = {category_key(one.get("id")): _category(made, one, target) for one in records}
        for person in found.persons:
            if isinstance(person, dict):
                moved = _moved(person, ids, names, columns, len(made["annotations"]) + 1)
                told = f"{file.name} id {person.get('id')}" if len(parts) > 1 else str(person.get("id"))
                made["annotations"].append({**moved, TOLD_AS: told})
    return made


def _columns(file: Path, records: Sequence[Any], target: Category | None) -> dict[str, _Columns]:
    """Of each category that names key points."""
    if target is None:
        return {}
    found: dict[str, _Columns] = {}
    for one in with_keypoints(records, file.name):
        places = {name: at for at, name in enumerate(canonical(one.keypoints))}
        order = tuple(places.get(name, -1) for name in canonical(target.keypoints))
        found[category_key(one.id)] = _Columns(order, len(one.keypoints))
        if max(order) < 0:
            raise Refused(f"{file}: category {one.name!r} has none of the key points {', '.join(target.keypoints)}")
    if not found:
        raise Refused(f"{file}: no category names its key points, so nothing says which they are; add them to it")
    return found


def _absent(columns: Mapping[str, _Columns]) -> list[int]:
    """Key points that no category of a file has."""
    count = max((len(one.order) for one in columns.values()), default=0)
    return [k for k in range(count) if all(one.order[k] < 0 for one in columns.values())]


def _add_images(made: CocoContent, records: Sequence[Any], prefix: Path, absent: list[int]) -> dict[Any, int]:
    """Appends them under new ids, which are given by the old ones."""
    ids: dict[Any, int] = {}
    for one in records:
        if not isinstance(one, dict):
            continue
        number = len(made["images"]) + 1
        ids.setdefault(identity(one.get("id")), number)
        name = (prefix / str(one.get("file_name")).replace("\\", "/")).as_posix()
        made["images"].append({**one, "id": number, "file_name": name, "absent": absent})
    return ids


def _category(made: CocoContent, record: CocoContent, target: Category | None) -> int:
    """The new id of a category: the same for all of its name."""
    name = str(record.get("name"))
    for one in made["categories"]:
        if one["name"].casefold() == name.casefold():
            return one["id"]
    limbs = [[a + 1, b + 1] for a, b in target.limbs] if target else record.get("skeleton")
    points = list(target.keypoints) if target and record.get("keypoints") else record.get("keypoints")
    made["categories"].append({"id": len(made["categories"]) + 1, "name": name, "keypoints": points, "skeleton": limbs})
    return len(made["categories"])


def _moved(
    person: CocoContent, ids: Mapping[Any, int], names: Mapping[str, int], columns: Mapping[str, _Columns], number: int
) -> CocoContent:
    key = category_key(person.get("category_id"))
    moved = {**person, "id": number, "image_id": ids.get(identity(person.get("image_id")), -1)}
    moved["category_id"] = names.get(key, -1)
    flat, known = person.get("keypoints"), columns.get(key)
    if known is not None and isinstance(flat, list) and len(flat) == 3 * known.count:
        moved["keypoints"] = [n for k in known.order for n in (flat[3 * k : 3 * k + 3] if k >= 0 else (0, 0, 0))]
        moved.pop("num_keypoints", None)
    return moved
