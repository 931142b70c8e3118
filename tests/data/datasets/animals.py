"""A small data set of animals with five key points of their own, drawn for a test."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

NAMES = ("nose", "tail_base", "left_paw", "right_paw", "back")
LIMBS = ((0, 4), (4, 1), (4, 2), (4, 3))
SIDE = 64
_PLACES = np.array([[0.1, 0.3], [0.9, 0.4], [0.3, 0.9], [0.7, 0.9], [0.5, 0.3]])  # of `NAMES` in the box


def category(order: Sequence[int] = range(5), **more: Any) -> dict[str, Any]:
    """The animals' category, with its columns in another order if asked for. Limbs count from 1."""
    limbs = [[list(order).index(a) + 1, list(order).index(b) + 1] for a, b in LIMBS]
    return {"id": 1, "name": "goat", "keypoints": [NAMES[k] for k in order], "skeleton": limbs} | more


def labelled(count: int, seed: int, order: Sequence[int] = range(5)) -> dict[str, Any]:
    """One animal in each of `count` images."""
    rng = np.random.default_rng(seed)
    images, people = [], []
    for i in range(1, count + 1):
        images.append({"id": i, "file_name": f"{i}.png", "width": SIDE, "height": SIDE})
        corner, extent = rng.uniform(4, 16, 2), rng.uniform(30, 40, 2)
        points = np.concatenate([corner + extent * _PLACES, np.full((5, 1), 2)], 1).round(1)[list(order)]
        person = {"id": i, "image_id": i, "category_id": 1, "iscrowd": 0, "num_keypoints": 5}
        box = [*corner.tolist(), *extent.tolist()]
        people.append({**person, "bbox": box, "area": 0.6 * box[2] * box[3], "keypoints": points.ravel().tolist()})
    return {"images": images, "annotations": people, "categories": [category(order)]}


def animals(root: Path, train: dict[str, Any] | None = None, val: dict[str, Any] | None = None) -> Path:
    """The data set in COCO's layout: 4 images to train on, 3 to be judged on, or what is given."""
    contents = {"train2017": train or labelled(4, 1), "val2017": val or labelled(3, 2)}
    (root / "annotations").mkdir(parents=True, exist_ok=True)
    for split, content in contents.items():
        (root / "annotations" / f"person_keypoints_{split}.json").write_text(json.dumps(content))
        (root / split).mkdir(exist_ok=True)
        for image in content["images"]:
            mine = [one for one in content["annotations"] if one["image_id"] == image["id"]]
            cv2.imwrite(str(root / split / image["file_name"]), _drawn(mine))
    return root


def _drawn(people: Sequence[dict[str, Any]]) -> Any:
    canvas = np.full((SIDE, SIDE, 3), 200, np.uint8)
    for one in people:
        x, y, w, h = one["bbox"]
        cv2.ellipse(
            canvas, (round(x + w / 2), round(y + h / 2)), (round(w / 2), round(h / 3)), 0, 0, 360, (40, 80, 120), -1
        )
        for px, py, _ in np.reshape(one["keypoints"], (-1, 3)):
            cv2.circle(canvas, (round(px), round(py)), 2, (0, 0, 255), -1)
    return canvas
