"""COCO key points in their own layout, and what other tools export in it.

annotations/person_keypoints_train2017.json   annotations/person_keypoints_val2017.json
train2017/000000000009.jpg ...                val2017/...

CVAT writes annotations/person_keypoints_Train.json and images/Train/, or images/ alone.
"""

from __future__ import annotations

from pathlib import Path
from typing import final

from workbench.data.datasets.annotations import Annotated

_TRAIN = ("train2017", "train", "Train", "training", "default")
_VAL = ("val2017", "val", "Val", "valid", "validation", "Validation", "test", "Test")
_FILES = ("person_keypoints_{}.json", "{}.json", "keypoints_{}.json", "instances_{}.json")
_FOLDERS = ("{}", "images/{}", "images")


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
        """The splits for training and for evaluation: the first of the usual names that has an annotation file."""
        train, val = (
            next((name for name in names if cls.annotation_file(folder, name).is_file()), names[0])
            for names in (_TRAIN, _VAL)
        )
        return train, val

    @classmethod
    def annotation_file(cls, folder: Path, split: str) -> Path:
        """Where the annotations of a split lie, or should lie."""
        places = [folder / "annotations" / name.format(split) for name in _FILES]
        return next((place for place in places if place.is_file()), places[0])

    @classmethod
    def image_folder(cls, folder: Path, split: str) -> Path:
        """Where the images of a split lie, or should lie."""
        places = [folder / name.format(split) for name in _FOLDERS]
        return next((place for place in places if place.is_dir()), places[0])
