"""What Roboflow exports as COCO: a folder for each split, with its images and `_annotations.coco.json`."""

from __future__ import annotations

from pathlib import Path
from typing import final

from workbench.data.datasets.annotations import Annotated

_VAL = ("valid", "val", "test")


@final
class Roboflow(Annotated):
    """Roboflow's layout. It adds a category that nobody has, which is left out as any such."""

    name = "Roboflow"
    layout = "train/_annotations.coco.json and the images beside it, the same of valid"
    evaluation = "coco"

    @classmethod
    def holds(cls, folder: Path) -> bool:
        """Whether the folder looks like an export of Roboflow."""
        return any(cls.annotation_file(folder, split).is_file() for split in ("train", *_VAL))

    @classmethod
    def splits(cls, folder: Path) -> tuple[str, str]:
        """train, and the first of valid, val and test that is there."""
        return "train", next((name for name in _VAL if cls.annotation_file(folder, name).is_file()), _VAL[0])

    @classmethod
    def annotation_file(cls, folder: Path, split: str) -> Path:
        """Where the annotations of a split lie, or should lie."""
        return folder / split / "_annotations.coco.json"

    @classmethod
    def image_folder(cls, folder: Path, split: str) -> Path:
        """Where the images of a split lie, or should lie."""
        return folder / split
