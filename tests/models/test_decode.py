"""Detection: which cells are kept as persons, and which are not."""

from __future__ import annotations

import pytest
import torch

from tests.models.steps import images, network
from workbench.models.decode import detect, survivors


@pytest.mark.parametrize("threshold", [1.0, 1.5, 100.0])
def test_nms_of_one_and_more_keeps_everybody(threshold: float) -> None:
    model = network().eval()
    found = detect(model, images(2), score_threshold=0.0, nms_threshold=threshold)
    assert [len(one) for one in found] == [20, 20]


def test_nobody_found() -> None:
    found = detect(network().eval(), images(2), score_threshold=1.0)
    assert [len(one) for one in found] == [0, 0]
    assert all(one.keypoints.shape == (0, 17, 2) and one.boxes.shape == (0, 4) for one in found)


def test_a_box_without_bounds_is_nobodys_and_harms_no_other_image() -> None:
    """With it NMS would take all boxes of the other images for one."""
    boxes = torch.tensor([[[0.0, 0, 10, 10], [20, 20, 30, 30]], [[0, 0, 10, 10], [20, 20, 30, 30]]])
    scores = torch.full((2, 2), 0.9)
    for far in (1e30, float("inf")):
        boxes[0, 1, 2:] = far
        image, cell = survivors(boxes, scores, 0.1, 0.65, 100)
        assert list(zip(image.tolist(), cell.tolist(), strict=True)) == [(0, 0), (1, 0), (1, 1)]
    boxes[0, 1, 2:] = float("nan")  # a network that has diverged: evaluation refuses it
    assert (0, 1) in zip(*(t.tolist() for t in survivors(boxes, scores, 0.1, 0.65, 100)), strict=True)
