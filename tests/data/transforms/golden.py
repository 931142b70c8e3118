"""The reference's arrays for every transform, and comparison with them."""

from pathlib import Path

import numpy as np

from workbench.core.skeletons import COCO
from workbench.tensors import Persons, Sample

GOLDEN = {k: v for k, v in np.load(Path(__file__).parents[2] / "golden" / "data" / "transforms.npz").items()}
SIZE = (64, 64)
FIELDS = {"img": "image", "keypoints": "keypoints", "keypoints_visible": "visible", "bbox": "boxes", "area": "areas"}


def gold(key: str) -> np.ndarray:
    return GOLDEN[key]


def given(name: str) -> Sample:
    keypoints = gold(f"{name}keypoints")
    return Sample(
        image=gold(f"{name}img") if f"{name}img" in GOLDEN else np.zeros((64, 64, 3), np.uint8),
        persons=Persons(
            boxes=gold(f"{name}bbox"),
            keypoints=keypoints,
            visible=gold(f"{name}keypoints_visible"),
            areas=gold(f"{name}area"),
            labels=np.zeros(len(keypoints), np.int64),
            keypoint_weights=np.ones(keypoints.shape[:2], np.float32),
        ),
        skeleton=COCO,
    )


def close(made: np.ndarray, expected: np.ndarray) -> bool:
    return made.shape == expected.shape and np.allclose(made, expected, rtol=0, atol=2e-4 * max(1, abs(expected).max()))


def agree(made: Sample, name: str) -> None:
    """Every array of the reference under that name; images exactly."""
    for key, field in FIELDS.items():
        if f"{name}{key}" in GOLDEN:
            expected = gold(f"{name}{key}")
            value = made.image if key == "img" else getattr(made.persons, field)
            assert np.array_equal(value, expected) if key == "img" else close(value, expected), f"{name}{key}"
            assert value.dtype == (np.uint8 if key == "img" else np.float32), f"{name}{key} is {value.dtype}"
