"""COCO key points in their own layout.

annotations/person_keypoints_train2017.json   annotations/person_keypoints_val2017.json
train2017/000000000009.jpg ...                val2017/...
"""

from __future__ import annotations

from pathlib import Path
from typing import final

from workbench.data.datasets.annotations import Annotated


@final
class CocoKeypoints(Annotated):
    """The layout of COCO, with any key points.

    A split is the name of its image folder and part of its annotation file's name.
    """

    name = "COCO"
    layout = "annotations/person_keypoints_train2017.json and train2017/, the same of val2017"
    evaluation = "coco"

    @classmethod
    def holds(cls, folder: Path) -> bool:
        """Whether the folder looks like COCO."""
        return (folder / "annotations").is_dir()

    @classmethod
    def splits(cls, folder: Path) -> tuple[str, str]:
        """The splits for training and for evaluation."""
        return "train2017", "val2017"

    @classmethod
    def annotation_file(cls, folder: Path, split: str) -> Path:
        """Where the annotations of a split lie, or should lie."""
        return folder / "annotations" / f"person_keypoints_{split}.json"

    @classmethod
    def image_folder(cls, folder: Path, split: str) -> Path:
        """Where the images of a split lie, or should lie."""
        return folder / split
