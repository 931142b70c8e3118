"""Data sets of images with key-point annotations in COCO's JSON format, read, checked and given as samples.

Semantics: RTMO (arXiv 2312.07526) as released, section 9 of the specification this package follows.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from workbench.core.errors import Refused
from workbench.core.keypoints import Skeleton
from workbench.data.datasets.columns import in_order, unnamed_skeleton
from workbench.data.datasets.images import Unreadable, broken, read_image
from workbench.data.datasets.keypoints import DataKeypoints, keypoints_of
from workbench.data.datasets.masks import Segmentation, mask_of
from workbench.tensors import Persons, Sample

_SHOWN = 3  # offenders that a message names
BEYOND = 1.0  # pixels that a box may reach over the edge: rounding, not a mistake
AREA_OF_BOX = 0.53  # where the annotation has no area

Annotation = Mapping[str, Any]
EvaluationRules = Literal["coco", "crowdpose"]


@dataclass(slots=True)
class ImageEntry:
    """One image of the file and the rows of its persons."""

    id: int
    file: str
    width: int
    height: int
    crowd_index: float
    rows: list[int] = field(default_factory=list)


@dataclass(slots=True)
class Table:
    """All persons of a file, one row each, and the images that point into them."""

    pictures: list[ImageEntry]
    boxes: NDArray[np.float32]  # (A, 4) x1, y1, x2, y2, clipped to the image
    keypoints: NDArray[np.float32]  # (A, K, 3) x, y, visibility
    areas: NDArray[np.float32]  # (A,)
    labels: NDArray[np.int64]  # (A,)
    ignored: dict[int, Segmentation]  # row: what it covers, where key points cannot be learnt from it


class Findings:
    """Collects what is wrong, by kind; each kind becomes one line with a count and the first offenders."""

    def __init__(self) -> None:
        self.found: dict[str, list[str]] = {}

    def add(self, kind: str, *who: object) -> None:
        """One more fault of a kind and whose it is; nobody's where it concerns the whole."""
        self.found.setdefault(kind, []).extend(str(one) for one in who)

    def lines(self) -> list[str]:
        return [
            f"{kind}: {len(who)}, first {', '.join(who[:_SHOWN])}" if who else kind for kind, who in self.found.items()
        ]

    def __bool__(self) -> bool:
        return bool(self.found)


class Annotated(Sequence[Sample], ABC):
    """Images of a folder with the persons of a JSON file. A subclass says what its format is.

    What is wrong with the file is collected, and raised by `check` or by the first use. Splits whose name begins with
    "train" give only images with at least one annotation.

    Args:
        folder: where the data set lies.
        split: which part of it; "" is the one for training.
        annotations: another annotation file than the split's.

    Fields:
        name, layout: what people call the format, and where its files lie, for messages.
        evaluation: the rules by which the data set is evaluated.
        skeleton: the key points of the data set, the same for all of its parts, whatever the order in a file.
    """

    name: ClassVar[str]
    layout: ClassVar[str]
    evaluation: ClassVar[EvaluationRules]
    skeleton: Skeleton

    @classmethod
    @abstractmethod
    def holds(cls, folder: Path) -> bool:
        """Whether the folder looks like this format."""

    @classmethod
    @abstractmethod
    def splits(cls, folder: Path) -> tuple[str, str]:
        """The names of the parts for training and for evaluation; no image is in both."""

    @classmethod
    @abstractmethod
    def annotation_file(cls, folder: Path, split: str) -> Path:
        """Where the annotations of a split lie, or should lie."""

    @classmethod
    @abstractmethod
    def image_folder(cls, folder: Path, split: str) -> Path:
        """Where the images of a split lie, or should lie."""

    @classmethod
    def keypoints(cls, folder: Path, file: Path | None = None) -> DataKeypoints:
        """The key points of the data set in a folder, or of one annotation file that is not among its own.

        Raises:
            Refused: nothing says which they are, or two of its files say other ones.
        """
        files = [cls.annotation_file(folder, split) for split in cls.splits(folder)]
        return keypoints_of(files if file is None or file in files else [file], folder)

    def __init__(self, folder: Path | str, split: str = "", annotations: Path | str | None = None) -> None:
        root = Path(folder)
        split = split or self.splits(root)[0]
        self.file = Path(annotations) if annotations else self.annotation_file(root, split)
        self.images, self.training = self.image_folder(root, split), split.startswith("train")
        self.findings = Findings()
        if not self.images.is_dir():
            self.findings.add(f"no image folder {self.images}")
        content = self._in_order(_json(self.file, self.findings), root)
        self._truth = None if self.training else content  # what `coco` gives, without a second look at the file
        self._table = _read(content, self.skeleton, self._columns, self.findings)
        self._used = [p for p in self._table.pictures if p.rows or not self.training]
        if not self._used and not self.findings:
            wanted = "image with an annotation" if self.training else "image"
            self.findings.add(f"an empty set: {self.file.name} holds no {wanted}")

    def _in_order(self, content: Annotation, root: Path) -> Annotation:
        """The file's content with its columns in the order of the set; finds out which set that is."""
        self._columns: dict[str, tuple[int, ...]] = {}
        self.skeleton = unnamed_skeleton(content)
        if not content:
            return content
        try:
            found = self.keypoints(root, self.file)
            self._columns = found.columns(content["categories"], self.file.name)
            self.skeleton = found.skeleton
        except Refused as error:
            self.findings.add(str(error))
            return content
        return in_order(content, self._columns, self.skeleton)

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_truth": None}  # the processes that load images do without it

    def __len__(self) -> int:
        return len(self._used)

    @property
    def image_ids(self) -> list[int]:
        """The image of each sample."""
        return [picture.id for picture in self._used]

    def __getitem__(self, index: int) -> Sample:  # pyright: ignore[reportIncompatibleMethodOverride]
        """The image and its persons as annotated; crowds and persons without key points are among them.

        Raises:
            Unreadable: the image is missing, broken or not of the annotated size.
        """
        self._refuse(self.findings)
        return self.sample(index, self.image(index))

    def size_of(self, index: int) -> tuple[int, int]:
        """Height and width of an image, as annotated."""
        return self._used[index].height, self._used[index].width

    def image(self, index: int) -> NDArray[np.uint8]:
        """The pixels alone, (H, W, 3).

        Raises:
            Unreadable: as when both are asked for.
        """
        picture = self._used[index]
        image = read_image(self.images / picture.file)
        height, width = image.shape[:2]
        if (width, height) != (picture.width, picture.height):
            reason = f"{width}x{height} pixels, annotated for {picture.width}x{picture.height}"
            raise Unreadable(str(self.images / picture.file), reason)
        return image

    def sample(self, index: int, image: Any) -> Sample:
        """The persons of an image, with it or with what stands for it."""
        picture, table = self._used[index], self._table
        points = table.keypoints[picture.rows]
        return Sample(
            image=image,
            persons=Persons(
                boxes=table.boxes[picture.rows],
                keypoints=points[..., :2].copy(),
                visible=points[..., 2].copy(),
                areas=table.areas[picture.rows],
                labels=table.labels[picture.rows],
                keypoint_weights=np.ones(points.shape[:2], np.float32),
            ),
            skeleton=self.skeleton,
            ignore=self._ignore(picture),
            image_id=picture.id,
            crowd_index=picture.crowd_index,
        )

    def __iter__(self) -> Iterator[Sample]:
        return (self[i] for i in range(len(self)))

    def coco(self) -> dict[str, Any]:
        """The file's annotations, columns in the order of `skeleton`: the truth of an evaluation. Not to be changed."""
        self._refuse(self.findings)
        content = self._truth or in_order(
            json.loads(self.file.read_text(encoding="utf-8")), self._columns, self.skeleton
        )
        return dict(content)

    def check(self, *, decode: bool = False) -> None:
        """Look at everything before anything starts: the file's content, then each image of the set.

        Args:
            decode: also decode every image, not only look at its first and last bytes.

        Raises:
            Refused: one line for each kind of fault, with its count and the first offenders.
        """
        findings = Findings()
        findings.found.update(self.findings.found)
        if self.images.is_dir():
            concerned = self._table.pictures if self.findings else self._used
            for name in sorted({p.file for p in concerned if not _leaves(p.file)}):
                reason = broken(self.images / name)
                if reason == "missing":
                    findings.add(f"images missing from {self.images}", name)
                elif reason := reason or (_undecodable(self.images / name) if decode else None):
                    findings.add("broken images", f"{name} ({reason})")
        self._refuse(findings)

    def _refuse(self, findings: Findings) -> None:
        if findings:
            faults = "".join(f"\n  {line}" for line in findings.lines())
            raise Refused(f"{self.file} with the images of {self.images} cannot be used; correct it first:{faults}")

    def _ignore(self, picture: ImageEntry) -> NDArray[np.uint8] | None:
        covered = [self._table.ignored[row] for row in picture.rows if row in self._table.ignored]
        if not covered:
            return None
        return np.maximum.reduce([mask_of(s, picture.height, picture.width) for s in covered])


def _undecodable(path: Path) -> str | None:
    try:
        read_image(path)
    except Unreadable as error:
        return error.reason
    return None


def _leaves(name: str) -> bool:
    """Whether a file name points out of its folder, on any system."""
    return any(p.is_absolute() or p.drive or ".." in p.parts for p in (PurePosixPath(name), PureWindowsPath(name)))


def _read(content: Annotation, skeleton: Skeleton, columns: Mapping[str, Sequence[int]], findings: Findings) -> Table:
    pictures = _pictures(content.get("images", ()), findings)
    classes = _classes(content.get("categories", ()))
    people = [a for a in content.get("annotations", ()) if _placed(a, pictures, findings)]
    _twice("annotations with an id that is taken", (a.get("id") for a in people), findings)
    for one in people:
        if columns and (category := str(one.get("category_id"))) in classes and category not in columns:
            findings.add("annotations of a category that names no key points", one.get("id"))
    return _table(people, pictures, classes, skeleton, findings)


def _json(file: Path, findings: Findings) -> Annotation:
    """The content of the file, or nothing where it is not what it should be."""
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        findings.add(f"no annotation file {file}")
        return {}
    except OSError as error:
        findings.add(f"annotation file {file} cannot be read: {error.strerror}")
        return {}
    except (ValueError, RecursionError) as error:  # malformed JSON, or bytes that are no UTF-8
        findings.add(f"malformed JSON in {file.name}: {error}")
        return {}
    parts = ("images", "annotations", "categories")
    if not isinstance(content, dict) or not all(isinstance(content.get(part), list) for part in parts):
        findings.add(f"{file.name} is no COCO annotation file; expected the lists {', '.join(parts)}")
        return {}
    return content


def _pictures(records: Iterable[Any], findings: Findings) -> dict[int, ImageEntry]:
    pictures: dict[int, ImageEntry] = {}
    for at, record in enumerate(records):
        try:
            made = ImageEntry(
                int(record["id"]),
                str(record["file_name"]),
                int(record["width"]),
                int(record["height"]),
                float(record.get("crowdIndex", 0.0)),
            )
        except (AttributeError, KeyError, OverflowError, TypeError, ValueError):
            findings.add("images without a whole id, file_name, width and height", f"images[{at}]")
            continue
        if made.id in pictures:
            findings.add("images with an id that is taken", made.id)
        if made.width < 1 or made.height < 1:
            findings.add("images without an extent", made.file)
        if _leaves(made.file):
            findings.add("file_name leaves the image folder", made.file)
        pictures[made.id] = made
    return pictures


def _classes(records: Iterable[Any]) -> dict[str, int]:
    """The label of each category id: its place in the order of the ids."""
    known = {r["id"] for r in records if isinstance(r, dict) and isinstance(r.get("id"), int)}
    return {str(number): label for label, number in enumerate(sorted(known))}


def _placed(record: Any, pictures: Mapping[int, ImageEntry], findings: Findings) -> bool:
    if isinstance(record, dict) and isinstance(record.get("image_id"), int) and record["image_id"] in pictures:
        return True
    findings.add("annotations of no image of the file", record.get("id") if isinstance(record, dict) else record)
    return False


def _twice(kind: str, ids: Iterable[object], findings: Findings) -> None:
    seen: set[str] = set()
    for one in map(str, ids):
        if one in seen:
            findings.add(kind, one)
        seen.add(one)


def _table(
    people: Sequence[Annotation],
    pictures: Mapping[int, ImageEntry],
    classes: Mapping[str, int],
    skeleton: Skeleton,
    findings: Findings,
) -> Table:
    """Rows of the annotations that are whole; each of the others is found fault with."""
    boxes, points, areas, labels, ignored = [], [], [], [], {}
    for person in people:
        picture = pictures[person["image_id"]]
        row = _person(person, picture, skeleton, findings)
        if row is None:
            continue
        label = classes.get(str(person.get("category_id")))
        if label is None:
            findings.add("annotations of no category of the file", person.get("id"))
            continue
        box, keypoints, area = row
        if _unlearnable(person, box, keypoints) and (segmentation := person.get("segmentation")):
            if _decodable(segmentation, picture):
                ignored[len(boxes)] = segmentation
            else:
                findings.add("segmentations that cannot be decoded, annotations", person.get("id"))
        picture.rows.append(len(boxes))
        boxes.append(_clipped(box, picture))
        points.append(keypoints)
        labels.append(label)
        areas.append(area)
    count = len(boxes)
    return Table(
        pictures=list(pictures.values()),
        boxes=np.array(boxes, np.float32).reshape(count, 4),
        keypoints=np.array(points, np.float32).reshape(count, len(skeleton), 3),
        areas=np.array(areas, np.float32),
        labels=np.array(labels, np.int64),
        ignored=ignored,
    )


def _person(
    person: Annotation, picture: ImageEntry, skeleton: Skeleton, findings: Findings
) -> tuple[NDArray[np.float64], NDArray[np.float64], float] | None:
    """Box (x, y, w, h), key points (K, 3) and area, or None and a finding."""
    name = person.get("id")
    box, flat = _numbers(person.get("bbox")), _numbers(person.get("keypoints"))
    area = _numbers([0 if person.get("area") is None else person["area"]])
    faults: list[tuple[str, Callable[[], bool]]] = [
        ("annotations without a bbox of four numbers", lambda: box is None or box.shape != (4,)),
        ("annotations without key points or with some that are no numbers", lambda: flat is None or flat.ndim != 1),
        ("annotations with an area that is no number", lambda: area is None or area.shape != (1,)),
        (
            f"unknown key-point count, {3 * len(skeleton)} numbers expected ({skeleton.name}), annotations",
            lambda: flat is not None and len(flat) != 3 * len(skeleton),
        ),
        (
            "annotations with NaN or infinite numbers",
            lambda: not all(np.isfinite(v).all() for v in (box, flat, area) if v is not None),
        ),
        ("key-point visibility other than 0, 1, 2, annotations", lambda: not np.isin(flat[2::3], (0, 1, 2)).all()),  # pyright: ignore[reportOptionalSubscript]
        ("boxes outside the image, annotations", lambda: _outside(box, picture)),  # pyright: ignore[reportArgumentType]
    ]
    for kind, wrong in faults:
        if wrong():
            findings.add(kind, name)
            return None
    assert box is not None and flat is not None and area is not None
    return box, flat.reshape(-1, 3), _area(None if person.get("area") is None else float(area[0]), box, picture)


def _numbers(value: object) -> NDArray[np.float64] | None:
    if not isinstance(value, list):
        return None
    try:
        return np.array(value, np.float64)
    except (TypeError, ValueError):
        return None


def _outside(box: NDArray[np.float64], picture: ImageEntry) -> bool:
    """Whether a box of some extent reaches over the edge by more than rounding explains."""
    x, y, w, h = box
    if w <= 0 or h <= 0:
        return False
    return min(x, y) < -BEYOND or x + w > picture.width + BEYOND or y + h > picture.height + BEYOND


def _clipped(box: NDArray[np.float64], picture: ImageEntry) -> NDArray[np.float64]:
    x, y, w, h = box
    corners = np.array([x, y, x + w, y + h])
    return np.clip(corners, 0, [picture.width - 1, picture.height - 1] * 2)


def _area(given: float | None, box: NDArray[np.float64], picture: ImageEntry) -> float:
    if given is not None:
        return given
    x1, y1, x2, y2 = _clipped(box, picture)
    return max(AREA_OF_BOX * (x2 - x1) * (y2 - y1), 1.0)


def _unlearnable(person: Annotation, box: NDArray[np.float64], keypoints: NDArray[np.float64]) -> bool:
    """A crowd, or a person without key points or extent: no target, so its place must not count as empty."""
    counted = person.get("num_keypoints", 1)
    return bool(person.get("iscrowd")) or counted == 0 or min(box[2:]) <= 0 or keypoints.max() <= 0


def _decodable(segmentation: Segmentation, picture: ImageEntry) -> bool:
    try:
        mask_of(segmentation, picture.height, picture.width)
    except Refused:
        return False
    return True
