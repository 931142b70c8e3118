"""CrowdPose (arXiv 1812.00324) in its own layout; the annotation files may also lie in the folder itself.

json/crowdpose_train.json   json/crowdpose_val.json   json/crowdpose_trainval.json   json/crowdpose_test.json
images/114203.jpg ...
"""

from __future__ import annotations

from pathlib import Path
from typing import final

from workbench.core.skeletons import CROWDPOSE
from workbench.data.datasets.annotations import Annotated


@final
class CrowdPose(Annotated):
    """CrowdPose (14 key points, a crowd index per image). Training splits give only images with annotations.

    Args:
        folder: where `json/` and `images/` lie; files beside each other in the folder itself are taken too.
        split: train, val, trainval or test.
        annotations: another annotation file.
    """

    def __init__(self, folder: Path | str, split: str = "trainval", annotations: Path | str | None = None) -> None:
        root = Path(folder)
        file = Path(annotations) if annotations else annotation_file(root, split)
        images = root / "images" if (root / "images").is_dir() else root
        super().__init__(file, images, CROWDPOSE, training=split.startswith("train"))


def annotation_file(folder: Path, split: str) -> Path:
    """Where the annotations of a split lie, or should lie."""
    beside = folder / f"crowdpose_{split}.json"
    return beside if beside.exists() else folder / "json" / beside.name


def splits(folder: Path) -> tuple[str, str]:
    """The splits for training and for evaluation: trainval and test as published where both are there, else train, val.

    Never trainval with val: the one holds the other.
    """
    if all(annotation_file(folder, split).exists() for split in ("trainval", "test")):
        return "trainval", "test"
    return "train", "val"


def holds(folder: Path) -> bool:
    """Whether the folder looks like CrowdPose."""
    return any(annotation_file(folder, split).exists() for split in ("train", "val", "trainval", "test"))
