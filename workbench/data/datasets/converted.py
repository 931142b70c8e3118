"""Foreign annotations as files in COCO's form, made once and kept by a digest of what they are made of.

HOME/data/converted/KIND-DIGEST.json
HOME/data/converted/KIND-DIGEST.told.json   what people know each annotation by: "7.txt line 3"

Messages speak of the user's own files, never of these.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from workbench.core.errors import Refused
from workbench.core.files import write_whole
from workbench.data.datasets.annotations import Annotated
from workbench.data.datasets.classes import DataClasses
from workbench.data.datasets.keypoints import DataKeypoints

CocoContent = dict[str, Any]
TOLD_AS = "told_as"  # of an annotation that `make` gives: what messages call it; it is no part of the file that is made


class Converted(Annotated):
    """A layout that is put into COCO's form once, with a part to train on and one to be judged on."""

    evaluation = "coco"

    @classmethod
    def splits(cls, folder: Path) -> tuple[str, str]:
        """train and val."""
        return "train", "val"

    @classmethod
    def keypoints(cls, folder: Path, file: Path | None = None) -> DataKeypoints:
        """As of other data sets; what is wrong names the files that were given."""
        with cls._as_given(folder):
            return super().keypoints(folder, file)

    @classmethod
    def class_names(cls, folder: Path, file: Path | None = None) -> DataClasses:
        """As of other data sets; what is wrong names the files that were given."""
        with cls._as_given(folder):
            return super().class_names(folder, file)

    @classmethod
    @contextmanager
    def _as_given(cls, folder: Path) -> Iterator[None]:
        try:
            yield
        except Refused as error:
            said = str(error)
            for split in cls.splits(folder):
                made = cls.annotation_file(folder, split)
                said = said.replace(str(made), made.name)
                said = said.replace(made.name, f"{cls.given_file(folder, split)} ({split})")
            raise type(error)(said) from None

    def _told_as(self) -> Sequence[str] | None:
        try:
            return json.loads(_told_file(self.file).read_text("utf-8"))
        except (OSError, ValueError):
            return None  # an annotation file that is not among its own


def converted(kind: str, sources: Iterable[Path], make: Callable[[], CocoContent], more: str = "") -> Path:
    """The file that `make` gives the content of; it is not asked again while the sources stay as they are.

    Args:
        kind: the layout, and the version of what is made of it.
        sources: files and folders; a digest of their names, sizes and times is part of the file's name.
        more: what else decides the content.
        make: gives annotations with `TOLD_AS`, if people know them by anything else than their id.

    Raises:
        Refused: as `make`.
    """
    digest = hashlib.sha256(more.encode())
    for source in sources:
        try:
            found = source.stat()
        except OSError:
            continue
        digest.update(f"{source.absolute()}\0{found.st_size}\0{found.st_mtime_ns}\n".encode())
    folder = _folder()
    file = folder / f"{kind}-{digest.hexdigest()[:16]}.json"
    if not (file.is_file() and _told_file(file).is_file()):
        made = make()
        told = [one.pop(TOLD_AS, str(one.get("id"))) for one in made.get("annotations", ())]
        for path, content in ((_told_file(file), told), (file, made)):
            with write_whole(path) as part:
                part.write_text(json.dumps(content), "utf-8")
    return file


def _told_file(file: Path) -> Path:
    return file.with_suffix(".told.json")


def _folder() -> Path:
    """In the home of the runs; where that can not be written to, among the temporary files."""
    home = Path(os.environ.get("WORKBENCH_HOME", "runs"))
    for place in (home, Path(tempfile.gettempdir()) / "workbench"):
        folder = place / "data" / "converted"
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError:
            continue
        if os.access(folder, os.W_OK):
            return folder
    raise OSError(f"no folder can be written to: neither {home} nor {tempfile.gettempdir()}")
