"""Data sets of images with key-point annotations in COCO's JSON format, read, checked and given as samples.

Semantics: RTMO (arXiv 2312.07526) as released, section 9 of the specification this package follows.
"""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from workbench.core.errors import DataFault, Refused
from workbench.core.keypoints import Skeleton
from workbench.data.datasets.categories import category_records
from workbench.data.datasets.classes import DataClasses, classes_of
from workbench.data.datasets.findings import Findings
from workbench.data.datasets.image_files import look_at_images
from workbench.data.datasets.images import Unreadable, read_image
from workbench.data.datasets.keypoints import DataKeypoints, keypoints_of
from workbench.data.datasets.masks import mask_of
from workbench.data.datasets.parsing import Parsed, parsed
from workbench.data.datasets.pictures import ImageEntry, pictures_of
from workbench.data.datasets.rows import Rows, rows_of
from workbench.data.datasets.table import Table, table_of
from workbench.data.datasets.truth import truth_of
from workbench.tensors import Persons, Sample

EvaluationRules = Literal["coco", "crowdpose"]
UNKNOWN = Skeleton(name="unknown", keypoints=(), sigmas=(), flip=())  # of a file that does not say which it has


class Annotated(Sequence[Sample], ABC):
    """Images of a folder with the persons of a JSON file. A subclass says what its format is.

    What is wrong with the file is collected, and raised by `check` or by the first use. The split for training gives
    only images with at least one annotation.

    Args:
        folder: where the data set lies.
        split: which part of it; "" is the one for training.
        annotations: another annotation file than the split's.

    Fields:
        name, layout: what people call the format, and where its files lie, for messages.
        evaluation: the rules by which the data set is evaluated.
        skeleton: the key points of the data set, the same for all of its parts, whatever the order in a file.
        classes: its classes, likewise.
    """

    name: ClassVar[str]
    layout: ClassVar[str]
    evaluation: ClassVar[EvaluationRules]
    skeleton: Skeleton
    classes: DataClasses

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
    def given_file(cls, folder: Path, split: str) -> Path:
        """The file of a split that people know, for messages; another one where its content is put into COCO's form."""
        return cls.annotation_file(folder, split)

    @classmethod
    @abstractmethod
    def image_folder(cls, folder: Path, split: str) -> Path:
        """Where the images of a split lie, or should lie."""

    @classmethod
    def image_folders(cls, folder: Path, split: str) -> Sequence[Path]:
        """The folders that hold nothing but images of the data set, whose files its fingerprint speaks of."""
        return [cls.image_folder(folder, split)]

    @classmethod
    def keypoints(cls, folder: Path, file: Path | None = None) -> DataKeypoints:
        """The key points of the data set in a folder, or of one annotation file that is not among its own.

        Raises:
            Refused: nothing says which they are, or two of its files say other ones.
        """
        files = [cls.annotation_file(folder, split) for split in cls.splits(folder)]
        return keypoints_of(files if file is None or file in files else [file], folder)

    @classmethod
    def class_names(cls, folder: Path, file: Path | None = None) -> DataClasses:
        """The classes of the data set in a folder, or of one annotation file that is not among its own.

        Raises:
            Refused: its files do not agree.
        """
        files = [cls.annotation_file(folder, split) for split in cls.splits(folder)]
        return classes_of(*(files if file is None or file in files else [file]))

    def __init__(self, folder: Path | str, split: str = "", annotations: Path | str | None = None) -> None:
        root = Path(folder)
        split = split or self.splits(root)[0]
        self.root = root
        self.file = Path(annotations) if annotations else self.annotation_file(root, split)
        self.given = Path(annotations) if annotations else self.given_file(root, split)
        self.images, self.training = self.image_folder(root, split), split == self.splits(root)[0]
        self.upright = False  # whether images that fit their annotated size either way are turned as their tag says
        self.findings = Findings()
        self._looked: Findings | None = None
        if not self.images.is_dir():
            self.findings.add(f"no image folder {self.images}")
        self._table = self._read()
        self._used = [p for p in self._table.pictures if p.last > p.first or not self.training]
        self._check_content()

    def _read(self) -> Table:
        columns, labels = self._names()
        count = len(self.skeleton) if self.skeleton.keypoints else None
        try:
            found = parsed(self.file, partial(rows_of, keypoints=count))
        except Refused as error:
            self.findings.add(str(error))
            found: Parsed[Rows] = Parsed([], [], rows_of(iter(()), count))
        pictures, places = pictures_of(found.images, self.images, self.findings)
        persons = found.persons
        del found  # COCO's images take 30 MB as they stand there
        persons.told = self._told_as() or persons.ids
        return table_of(persons, pictures, places, labels, columns, self.skeleton, self.findings)

    def _told_as(self) -> Sequence[str] | None:
        """What messages call each annotation, in the file's order; None: by its id."""
        return None

    def _names(self) -> tuple[dict[str, Sequence[int]], dict[str, int]]:
        """The columns and the labels of the categories; finds out which key points and classes there are."""
        self.skeleton, self.classes = UNKNOWN, DataClasses((), {})
        if not self.file.is_file():
            return {}, {}  # which is told when it is to be read
        try:
            found, self.classes = self.keypoints(self.root, self.file), self.class_names(self.root, self.file)
            columns = found.columns(category_records(self.file) or (), self.file.name)
        except Refused as error:
            self.findings.add(str(error))
            return {}, {}
        self.skeleton = found.skeleton
        if self.classes.empty:
            self.findings.note(
                "categories without an annotation or key points, left out", *map(repr, self.classes.empty)
            )
        return dict(columns), dict(self.classes.labels[self.file])

    def _check_content(self) -> None:
        """That there is something to be trained or judged on."""
        if self.findings:
            return
        if not self._used:
            wanted = "image with an annotation" if self.training else "image"
            self.findings.add(f"an empty set: {self.given.name} holds no {wanted}")
        elif not self._table.target.any():
            self.findings.add(f"an empty set: nobody in {self.given.name} has a labelled key point and a box")

    def __len__(self) -> int:
        return len(self._used)

    @property
    def image_ids(self) -> list[int]:
        """The image of each sample."""
        return [picture.id for picture in self._used]

    @property
    def image_files(self) -> list[str]:
        """The file of each sample's image."""
        images = str(self.images.resolve())
        return [os.path.join(images, picture.file) for picture in self._used]

    @property
    def persons(self) -> int:
        """How many are targets."""
        return int(self._table.target.sum())

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
        """The pixels alone, (H, W, 3), turned as the camera's orientation tag says where the annotated size is of that.

        Raises:
            Unreadable: as when both are asked for.
        """
        picture = self._used[index]
        return self.pixels(picture.file, picture.width, picture.height)

    def pixels(self, name: str, width: int, height: int) -> NDArray[np.uint8]:
        """The pixels of an image by its name and annotated size, as `image` gives them."""
        path, found = self.images / name, (0, 0)
        for upright in (self.upright, not self.upright):
            image = read_image(path, upright=upright)
            found = image.shape[:2]
            if found == (height, width):
                return image
        raise Unreadable(str(path), f"{found[1]}x{found[0]} pixels, annotated for {width}x{height}")

    def sample(self, index: int, image: Any) -> Sample:
        """The persons of an image, with it or with what stands for it."""
        picture, table = self._used[index], self._table
        rows = table.rows(picture)
        points = table.keypoints[rows].astype(np.float32)
        weights = np.ones(points.shape[:2], np.float32)
        weights[:, list(picture.absent)] = 0
        return Sample(
            image=image,
            persons=Persons(
                boxes=table.corners(rows),
                keypoints=points[..., :2].copy(),
                visible=points[..., 2].copy(),
                areas=table.areas[rows].astype(np.float32),
                labels=table.labels[rows],
                keypoint_weights=weights,
            ),
            skeleton=self.skeleton,
            ignore=self._ignore(picture),
            image_id=picture.id,
            crowd_index=picture.crowd_index,
        )

    def __iter__(self) -> Iterator[Sample]:
        return (self[i] for i in range(len(self)))

    def coco(self, *, covered: bool = False) -> dict[str, Any]:
        """The truth of an evaluation in COCO's form, from the same table as the samples: columns in the order of
        `skeleton`, categories in that of the classes.

        Args:
            covered: with the segmentation of what is to be ignored.
        """
        self._refuse(self.findings)
        return truth_of(self._table, self.skeleton, self.classes.names, self._category_ids(), covered=covered)

    def annotation_ids(self, index: int) -> list[int]:
        """Of the persons of a sample."""
        return self._table.ids[self._table.rows(self._used[index])].tolist()

    def _category_ids(self) -> list[int]:
        """Those of the file where they stand in the order of the labels, else 1, 2, 3, ..."""
        labels = self.classes.labels.get(self.file, {})
        ids = [min((int(key) for key, at in labels.items() if at == label and key.isdecimal()), default=-1)
               for label in range(len(self.classes.names))]  # fmt: skip
        ordered = all(a < b for a, b in zip([-1, *ids], ids, strict=False))
        return ids if ordered else list(range(1, len(ids) + 1))

    def check(self, *, decode: bool = False) -> None:
        """Look at everything before anything starts: the file's content, then each image of the set.

        Args:
            decode: also decode every image, not only look at its first and last bytes.

        Raises:
            Refused: one line for each kind of fault, with its count and the first offenders.
        """
        self._refuse(self.look(decode=decode))

    def look(self, *, decode: bool = False) -> Findings:
        """Everything that `check` finds, and what was put right. Files are looked at once."""
        if self._looked is not None and not decode:
            return self._looked
        findings = self._looked = self.findings.copied()
        if self.images.is_dir():
            concerned = self._table.pictures if self.findings else self._used
            self.upright = look_at_images(concerned, self.images, self.root, findings)
            if decode and not findings:
                self._decode(findings)
        return findings

    def _decode(self, findings: Findings) -> None:
        for at, picture in enumerate(self._used):
            try:
                self.image(at)
            except Unreadable as error:
                findings.add("broken images", f"{picture.file} ({error.reason})")

    def _refuse(self, findings: Findings) -> None:
        if findings:
            faults = "".join(f"\n  {line}" for line in findings.lines())
            raise DataFault(f"{self.given} with the images of {self.images} cannot be used; correct it first:{faults}")

    def _ignore(self, picture: ImageEntry) -> NDArray[np.uint8] | None:
        table = self._table
        covered = [table.ignored[row] for row in table.rows(picture).tolist() if row in table.ignored]
        if not covered:
            return None
        return np.maximum.reduce([mask_of(s, picture.height, picture.width) for s in covered])
