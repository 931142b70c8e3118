"""CrowdPose (arXiv 1812.00324) in its own layout; the annotation files may also lie in the folder itself.

json/crowdpose_train.json   json/crowdpose_val.json   json/crowdpose_trainval.json   json/crowdpose_test.json
images/114203.jpg ...
"""

from __future__ import annotations

from pathlib import Path
from typing import final

from workbench.data.datasets.annotations import Annotated


@final
class CrowdPose(Annotated):
    """The layout of CrowdPose, with a crowd index per image. The splits are train, val, trainval and test."""

    name = "CrowdPose"
    layout = "json/crowdpose_train.json, json/crowdpose_val.json and images/"
    evaluation = "crowdpose"

    @classmethod
    def holds(cls, folder: Path) -> bool:
        """Whether the folder looks like CrowdPose."""
        return any(cls.annotation_file(folder, split).exists() for split in ("train", "val", "trainval", "test"))

    @classmethod
    def splits(cls, folder: Path) -> tuple[str, str]:
        """The splits for training and for evaluation: trainval and test as published where both are there, else
        train and val.

        Never trainval with val: the one holds the other.
        """
        if all(cls.annotation_file(folder, split).exists() for split in ("trainval", "test")):
            return "trainval", "test"
        return "train", "val"

    @classmethod
    def annotation_file(cls, folder: Path, split: str) -> Path:
        """Where the annotations of a split lie, or should lie."""
        beside = folder / f"crowdpose_{split}.json"
        return beside if beside.exists() else folder / "json" / beside.name

    @classmethod
    def image_folder(cls, folder: Path, split: str) -> Path:
        """Where the images lie: in `images/`, or beside the annotations."""
        return folder / "images" if (folder / "images").is_dir() else folder
