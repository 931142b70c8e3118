"""Data sets in the layouts of other tools."""

from pathlib import Path
from typing import Any

import numpy as np
import yaml

from tests.data.datasets.animals import animals
from workbench.data.datasets.annotations import Annotated
from workbench.data.datasets.export import convert_dataset
from workbench.data.datasets.listed import write_list


def same(one: Annotated, other: Annotated, within: float = 0.0) -> bool:
    """The same images and persons, whatever their order."""
    key = lambda sample: sample.persons.keypoints[0, 0, 0]  # noqa: E731
    pairs = list(zip(sorted(one, key=key), sorted(other, key=key), strict=True))
    return all(
        np.array_equal(a.image, b.image)
        and np.allclose(a.persons.keypoints, b.persons.keypoints, atol=within)
        and np.allclose(a.persons.boxes, b.persons.boxes, atol=within)
        and np.array_equal(a.persons.visible, b.persons.visible)
        for a, b in pairs
    )


def yolo(root: Path, **change: Any) -> Path:
    convert_dataset(animals(root / "plain"), root / "yolo", "yolo")
    file = root / "yolo" / "data.yaml"
    said = {**yaml.safe_load(file.read_text()), **change}
    file.write_text(yaml.safe_dump({key: value for key, value in said.items() if value is not None}))
    return root / "yolo"


def listed(root: Path, *parts: Path) -> Path:
    """The parts to train on, and the first one's to be judged on."""
    files = [(one / "annotations" / "person_keypoints_train2017.json", one / "train2017") for one in parts]
    val = parts[0] / "annotations" / "person_keypoints_val2017.json", parts[0] / "val2017"
    return write_list(root, files, [val])
