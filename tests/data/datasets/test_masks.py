"""Masks from run lengths, packed run lengths and polygons."""

import numpy as np
import pytest

from workbench.core.errors import Refused
from workbench.data.datasets.masks import fits, mask_of, unpack


def test_run_lengths_and_polygons() -> None:
    mask = np.zeros((9, 11), np.uint8)
    mask[2:7, 3:9], mask[4, 5], mask[8, 10] = 1, 0, 1
    flat = mask.T.ravel()
    edges = (np.flatnonzero(np.diff(flat)) + 1).tolist()
    counts = np.diff(np.array([0, *edges, len(flat)])).tolist()
    assert np.array_equal(mask_of({"counts": counts, "size": [9, 11]}, 9, 11), mask)
    assert np.array_equal(mask_of({"counts": packed(counts)}, 9, 11), mask)
    assert unpack(packed([0, 100000, 3, 7, 9999, 1])) == [0, 100000, 3, 7, 9999, 1]
    square = mask_of([[1, 1, 4, 1, 4, 4, 1, 4], [3, 3, 6, 3, 6, 6, 3, 6]], 9, 11)
    assert square.sum() == 9 + 9 - 1 and square[1:4, 1:4].all(), "rings add up; edges lie between pixels, as in COCO"
    for wrong in ({"counts": [1, 2]}, {"counts": None}, [[1, 2, 3]], [[1.0, float("nan")]], {"counts": [-1, 100]}):
        with pytest.raises(Refused):
            mask_of(wrong, 9, 11)


@pytest.mark.parametrize("far", [200.0, 1e8, 1e30, -1e30, float("inf")])
def test_a_polygon_far_outside_its_image_is_none(far: float) -> None:
    """pycocotools walks along its edges pixel by pixel, for minutes, or out of its memory."""
    assert fits([[0, 0, 22, 0, 22, 5, 0, 5]], 9, 11)
    with pytest.raises(Refused, match="expected polygons"):
        mask_of([[0, 0, far, 0, far, far, 0, far]], 9, 11)


def packed(counts: list[int]) -> str:
    """COCO's string of run lengths, written here from its description."""
    text = ""
    for i, count in enumerate(counts):
        value, more = count - (counts[i - 2] if i > 2 else 0), True
        while more:
            bits, value = value & 31, value >> 5
            more = value != (-1 if bits & 16 else 0)
            text += chr(48 + bits + 32 * more)
    return text
