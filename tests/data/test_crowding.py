"""The crowd index against a picture that is counted by hand."""

import numpy as np
import pytest

from workbench.data.crowding import crowd_index


def test_crowd_index_counts_the_joints_of_others() -> None:
    boxes = np.array([[0, 0, 10, 10], [5, 0, 30, 10]], np.float32)
    points = np.zeros((2, 17, 2), np.float32)
    points[0, :4] = (2, 2)
    points[1, 0], points[1, 1:4] = (8, 5), (20, 5)
    shown = np.zeros((2, 17), np.float32)
    shown[:, :4] = 2
    assert crowd_index(boxes, points, shown) == pytest.approx((1 / 4 + 0 / 4) / 2)
    assert crowd_index(boxes[:1], points[:1], shown[:1]) == 0
    assert crowd_index(boxes[:0], points[:0], shown[:0]) == 0
