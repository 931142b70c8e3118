"""Which data set a folder holds, and its fingerprint."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Literal

from workbench.core.errors import Refused
from workbench.data.datasets import crowdpose
from workbench.data.datasets.coco import CocoKeypoints

Split = Literal["train", "val"]


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


def dataset_fingerprint(folder: Path) -> str:
    """The name of a data set on disk: its folder's name and a digest of its annotations."""
    digest = hashlib.sha256()
    for split in ("train", "val"):
        digest.update(open_dataset(folder, split, check=False).file.read_bytes())
    return f"{folder.resolve().name}@{digest.hexdigest()[:8]}"
