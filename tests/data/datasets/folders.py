"""Data folders that tests write, and the real ones beside the checkout."""

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from workbench.core.skeletons import COCO, CROWDPOSE

REAL = Path(__file__).parents[3].parent / "shared" / "data"
real = pytest.mark.skipif(not REAL.is_dir(), reason="no real data beside the repository")
Content = dict[str, Any]
NAMES = {17: COCO.keypoints, 14: CROWDPOSE.keypoints}  # others have no published set


def content(keypoints: int = 17) -> Content:
    """Three images of 64x48: two persons and a crowd; nobody; one person."""

    def annotation(number: int, image: int, **more: object) -> Content:
        points = [n for i in range(keypoints) for n in (20 + i, 10 + i, i % 3)]
        plain = {"id": number, "image_id": image, "category_id": 1, "iscrowd": 0, "area": 300.0, "num_keypoints": 11}
        return {**plain, "bbox": [10, 5, 30, 40], "keypoints": points, **more}

    crowd = {"size": [48, 64], "counts": [48 * 60, 48 * 4]}
    nothing = [0] * 3 * keypoints
    people = [
        annotation(1, 7, bbox=[40.5, 20, 24, 28.5]),
        annotation(2, 9),
        annotation(3, 7),
        annotation(4, 7, iscrowd=1, num_keypoints=0, keypoints=nothing, bbox=[60, 0, 4, 48], segmentation=crowd),
    ]
    del people[2]["area"]
    images = [{"id": i, "file_name": f"{i}.jpg", "width": 64, "height": 48, "crowdIndex": i / 10} for i in (7, 8, 9)]
    names = NAMES.get(keypoints, tuple(f"point {k}" for k in range(keypoints)))
    category = {"id": 1, "name": "person", "keypoints": list(names)}
    return {"images": images, "annotations": people, "categories": [category]}


def folder(root: Path, made: Content | str, split: str = "train2017") -> Path:
    (root / "annotations").mkdir(exist_ok=True)
    (root / split).mkdir(exist_ok=True)
    file = root / "annotations" / f"person_keypoints_{split}.json"
    file.write_text(made if isinstance(made, str) else json.dumps(made))
    for i in (7, 8, 9):
        cv2.imwrite(str(root / split / f"{i}.jpg"), np.full((48, 64, 3), 10 * i, np.uint8))
    return root
