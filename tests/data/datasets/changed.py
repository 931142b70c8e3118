"""Data sets whose files say something else than they should."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from tests.data.datasets.animals import animals, labelled
from workbench.tensors import Detections

Content = dict[str, Any]
Change = Callable[[Content], Any]


def persons(**change: Any) -> Change:
    return lambda c: [one.update(change) for one in c["annotations"]]


def moved(scale: float, by: float = 0.0) -> Change:
    def change(c: Content) -> None:
        for one in c["annotations"]:
            points = np.reshape(one["keypoints"], (-1, 3)).astype(float)
            points[:, :2] = points[:, :2] * scale + by
            one["keypoints"] = points.ravel().tolist()

    return change


def written(root: Path, change: Change, change_val: Change | None = None) -> Path:
    made = labelled(4, 1), labelled(3, 2)
    animals(root, *map(lambda one: json.loads(json.dumps(one)), made))
    for content, one, split in zip(made, (change, change_val or change), ("train2017", "val2017"), strict=True):
        one(content)
        (root / "annotations" / f"person_keypoints_{split}.json").write_text(json.dumps(content))
    return root


def perfect(sample: Any) -> Detections:
    return Detections(
        boxes=sample.persons.boxes,
        scores=np.ones(len(sample), np.float32),
        labels=sample.persons.labels,
        keypoints=sample.persons.keypoints,
        keypoint_scores=np.ones(sample.persons.visible.shape, np.float32),
        image_id=sample.image_id,
    )
