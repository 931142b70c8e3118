"""COCO key points in their own layout, and which data set a folder holds.

annotations/person_keypoints_train2017.json   annotations/person_keypoints_val2017.json
train2017/000000000009.jpg ...                val2017/...
"""

from __future__ import annotations

from pathlib import Path
from typing import final

from workbench.core.skeletons import COCO
from workbench.data.datasets.annotations import Annotated


@final
class CocoKeypoints(Annotated):
    """COCO key points (17). Splits whose name begins with "train" give only images with annotations.

    Args:
        folder: where `annotations/` and the folder of the split lie.
        split: folder of the images and part of the annotation file's name.
        annotations: another annotation file.
    """

    def __init__(self, folder: Path | str, split: str = "train2017", annotations: Path | str | None = None) -> None:
        root = Path(folder)
        file = Path(annotations) if annotations else root / "annotations" / f"person_keypoints_{split}.json"
        super().__init__(file, root / split, COCO, training=split.startswith("train"))
