"""Key points in the layout of Ultralytics' YOLO: a YAML file, image folders, and a text file of labels for each image.

data.yaml          path, train, val, kpt_shape: [17, 3], flip_idx, names: {0: person}, and perhaps kpt_names
images/train/7.jpg labels/train/7.txt: a line for each person: class x y w h, then x y (visible) for each key point

Lengths are shares of the image's sides, boxes are given by their centre. The file need not name its key points; they
are a set of their own then, which `flip_idx` gives the mirror pairs of.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, final

import yaml

from workbench.core.errors import Refused
from workbench.data.datasets.converted import TOLD_AS, CocoContent, Converted, converted
from workbench.data.datasets.findings import Findings
from workbench.data.datasets.images import image_header
from workbench.data.datasets.side_file import SIDE_FILE, read_side_file

_IMAGES = {".bmp", ".dng", ".jpeg", ".jpg", ".mpo", ".png", ".tif", ".tiff", ".webp", ".pfm", ".heic"}
_PARTS = {"train": ("train",), "val": ("val", "valid", "test")}


@final
class YoloPose(Converted):
    """Ultralytics' layout, put into COCO's form once."""

    name = "YOLO"
    layout = "data.yaml with kpt_shape, images/ and labels/"

    @classmethod
    def holds(cls, folder: Path) -> bool:
        """Whether a YAML file of the folder speaks of key points."""
        return _yaml(folder) is not None

    @classmethod
    def annotation_file(cls, folder: Path, split: str) -> Path:
        """The file in COCO's form that is made of the labels.

        Raises:
            Refused: the YAML file or a text file can not be understood.
        """
        spec = _spec(folder)
        images = list(_images(spec, split))
        labels = [_labels(image) for image in images]
        sources = [spec.file, spec.root / SIDE_FILE, *images, *labels]
        return converted(f"yolo1-{split}", sources, partial(_content, spec, images, labels))

    @classmethod
    def given_file(cls, folder: Path, split: str) -> Path:
        """The YAML file."""
        return _yaml(folder) or folder / "data.yaml"

    @classmethod
    def image_folder(cls, folder: Path, split: str) -> Path:
        """Names of images begin at the root that the YAML file gives."""
        return _spec(folder).root

    @classmethod
    def image_folders(cls, folder: Path, split: str) -> Sequence[Path]:
        """Those that images lie in: beside them lie labels, and what training writes."""
        return sorted({image.parent for image in _images(_spec(folder), split)})


@dataclass(frozen=True)
class _Spec:
    """The YAML file. `side` numbers for each of `count` key points."""

    file: Path
    root: Path
    said: dict[str, Any]
    count: int
    side: int
    category: dict[str, Any]


def _yaml(folder: Path) -> Path | None:
    for file in sorted([*folder.glob("*.yaml"), *folder.glob("*.yml")], key=lambda file: (file.stem != "data", file)):
        if "kpt_shape" in file.read_text("utf-8", "replace"):
            return file
    return None


def _spec(folder: Path) -> _Spec:
    file = _yaml(folder)
    if file is None:
        raise Refused(f"{folder} has no data.yaml with kpt_shape")
    try:
        said = yaml.safe_load(file.read_text("utf-8"))
        count, side = (int(number) for number in said["kpt_shape"])
    except (yaml.YAMLError, OSError, ValueError, TypeError, KeyError) as error:
        raise Refused(f"{file} can not be understood: {' '.join(str(error).split())}") from None
    if side not in (2, 3) or count < 1:
        raise Refused(f"{file}: kpt_shape {[count, side]}; expected [number of key points, 2 or 3]")
    root = folder / str(said.get("path") or ".")
    root = root if root.is_dir() else folder
    return _Spec(file, root.resolve(), said, count, side, _category(said, count, folder, file))


def _category(said: dict[str, Any], count: int, folder: Path, file: Path) -> dict[str, Any]:
    """What all categories say of the key points."""
    flip, names = said.get("flip_idx"), said.get("kpt_names")
    if isinstance(names, dict):
        names = next(iter(names.values()), None)
    if flip is not None and not _mirrors(flip, count):
        raise Refused(
            f"{file}: flip_idx {str(flip)[:60]}; expected the numbers 0 to {count - 1}, each once, and of each key "
            "point the one that mirrors it in turn"
        )
    given = read_side_file(folder)
    if names:
        if len(names) != count:
            raise Refused(f"{file}: {len(names)} kpt_names for {count} key points")
        return {"keypoints": [str(name) for name in names]}
    if given.names or given.set:
        return {}
    if flip is None and given.pairs is None:
        raise Refused(
            f"{file} neither names its key points nor gives flip_idx, so nothing says which mirror each other; add "
            f'kpt_names or flip_idx, or {folder / SIDE_FILE} with {{"set": "coco"}} or {{"names": [...]}}'
        )
    return {"keypoints": [f"point {k}" for k in range(count)], "flip_idx": flip}


def _mirrors(flip: Any, count: int) -> bool:
    whole = isinstance(flip, list) and all(type(k) is int for k in flip) and sorted(flip) == list(range(count))
    return whole and all(flip[flip[k]] == k for k in range(count))


def _images(spec: _Spec, split: str) -> Iterator[Path]:
    """The images of a split: those of its folders, or of the lists that it names."""
    given = next((spec.said[name] for name in _PARTS[split] if spec.said.get(name)), None)
    if given is None:
        raise Refused(f"{spec.file} has no {split}; expected a folder of images")
    for one in given if isinstance(given, list) else [given]:
        place = _place(spec, str(one))
        if place.is_dir():
            yield from sorted(file for file in place.rglob("*") if file.suffix.lower() in _IMAGES)
        elif place.is_file():
            for line in place.read_text("utf-8").split("\n"):
                if line.strip():
                    yield (place.parent / line.strip()).resolve()
        else:
            raise Refused(f"{spec.file}: {split} is {one}, but there is no {place}")


def _place(spec: _Spec, given: str) -> Path:
    """As Ultralytics: below the root; a leading ../ of what Roboflow writes is passed over where it leads nowhere."""
    place = (spec.root / given).resolve()
    if not place.exists() and given.startswith("../"):
        place = (spec.root / given.removeprefix("../")).resolve()
    return place


def _labels(image: Path) -> Path:
    """images/a/7.jpg has labels/a/7.txt."""
    parts = list(image.with_suffix(".txt").parts)
    if "images" in parts:
        parts[len(parts) - 1 - parts[::-1].index("images")] = "labels"
    return Path(*parts)


def _content(spec: _Spec, images: Sequence[Path], labels: Sequence[Path]) -> CocoContent:
    findings = Findings()
    records, people, known = list[CocoContent](), list[CocoContent](), _class_names(spec)
    for number, (image, label) in enumerate(zip(images, labels, strict=True), start=1):
        header = image_header(image)
        width, height = (1, 1) if isinstance(header, str) else header.upright  # broken ones are told with the others
        file = image.relative_to(spec.root) if image.is_relative_to(spec.root) else image
        records.append({"id": number, "file_name": file.as_posix(), "width": width, "height": height})
        for at, line in enumerate(label.read_text("utf-8", "replace").splitlines() if label.is_file() else (), start=1):
            if line.strip() and not isinstance(header, str):
                person = _person(line, spec, width, height)
                if person is None:
                    findings.add(_expected(spec), f"{label.name} line {at}")
                elif known and person["category_id"] not in known:
                    findings.add("lines with a class that is not among names", f"{label.name} line {at}")
                else:
                    told = f"{label.name} line {at}"
                    people.append({"id": len(people) + 1, "image_id": number, TOLD_AS: told, **person})
    if findings:
        raise Refused(f"{spec.file}: " + "; ".join(findings.lines()))
    return {"images": records, "annotations": people, "categories": _categories(spec, people)}


def _expected(spec: _Spec) -> str:
    shape = f"{spec.count} key points of {spec.side} numbers"
    return f"lines that are not a whole class number, four numbers of a box and {shape}"


def _class_names(spec: _Spec) -> dict[int, Any]:
    """By their number; empty where the file names none."""
    names = spec.said.get("names") or {}
    try:
        return dict(enumerate(names)) if isinstance(names, list) else {int(key): name for key, name in names.items()}
    except (AttributeError, ValueError, TypeError):
        raise Refused(f"{spec.file}: names {str(names)[:60]}; expected a list, or a name for each number") from None


def _categories(spec: _Spec, people: Sequence[CocoContent]) -> list[CocoContent]:
    known = _class_names(spec)
    for person in people:
        known.setdefault(person["category_id"], str(person["category_id"]))
    return [{"id": number, "name": str(name), **spec.category} for number, name in sorted(known.items())]


def _person(line: str, spec: _Spec, width: int, height: int) -> CocoContent | None:
    """An annotation in pixels; None where the line is none. Five numbers alone are a person without key points."""
    try:
        label, x, y, w, h, *points = (float(word) for word in line.split())
        if label != int(label):
            return None
    except (ValueError, OverflowError):
        return None
    if len(points) not in (0, spec.count * spec.side):
        return None
    flat: list[float] = []
    for at in range(0, len(points), spec.side):
        px, py = points[at] * width, points[at + 1] * height
        seen = points[at + 2] if spec.side == 3 else 2.0 * (px != 0 or py != 0)
        flat += [px, py, seen]
    box = [(x - w / 2) * width, (y - h / 2) * height, w * width, h * height]
    return {"category_id": int(label), "bbox": box, "keypoints": flat, "iscrowd": 0}
