"""COCO key points in their own layout, and which data set a folder holds.

annotations/person_keypoints_train2017.json   annotations/person_keypoints_val2017.json
train2017/000000000009.jpg ...                val2017/...
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal, final

from workbench.data import crowdpose
from workbench.data.annotated import Annotated
from workbench.errors import Refused
from workbench.skeletons import COCO

Split = Literal["train", "val"]


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


def open_dataset(folder: Path | str, split: Split, *, check: bool = True) -> CocoKeypoints | crowdpose.CrowdPose:
    """The data set that a folder holds, checked whole.

    COCO gives train2017 or val2017; CrowdPose trainval or test where both are there, else train or val.

    Raises:
        Refused: no such folder, neither layout, or something in it is wrong.
    """
    root = Path(folder)
    if not root.is_dir():
        raise Refused(f"no data folder {root}; give the folder of COCO or CrowdPose")
    if (root / "annotations").is_dir():
        dataset = CocoKeypoints(root, f"{split}2017")
    elif crowdpose.holds(root):
        dataset = crowdpose.CrowdPose(root, crowdpose.splits(root)[split == "val"])
    else:
        raise Refused(
            f"{root} is neither COCO (annotations/person_keypoints_{split}2017.json and {split}2017/) "
            f"nor CrowdPose (json/crowdpose_{split}.json and images/); give the folder that holds one of them"
        )
    if check:
        dataset.check()
    return dataset
