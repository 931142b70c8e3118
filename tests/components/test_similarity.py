"""How alike two persons are, worked out by hand."""

from __future__ import annotations

import math

import torch

from tests.recorded import close
from workbench.components.similarity import FLOOR, box_iou, keypoint_similarity, point_similarity

SIGMAS = torch.tensor([0.05, 0.1])
AREAS = torch.tensor([400.0])


def test_iou_of_boxes_that_overlap_touch_and_are_empty() -> None:
    box = torch.tensor([0.0, 0.0, 2.0, 2.0])
    others = torch.tensor([[1.0, 1.0, 3.0, 3.0], [0.0, 0.0, 2.0, 2.0], [2.0, 0.0, 4.0, 2.0], [9.0, 9.0, 9.0, 9.0]])
    close(box_iou(box, others), torch.tensor([1 / 7, 1.0, 0.0, 0.0]))
    empty = torch.full((4,), 9.0)
    assert box_iou(empty, empty) == 0


def test_a_key_point_counts_by_its_distance_in_sigmas() -> None:
    """Off by 2 sigma roots of the area, the exponent is -1/2: 2 px at sigma 0.05 and an area of 20 x 20 px."""
    truth = torch.zeros(1, 2, 2)
    found = torch.tensor([[[2.0, 0.0], [0.0, 4.0]]])
    close(point_similarity(found, truth, AREAS, SIGMAS), torch.full((1, 2), math.exp(-0.5)))


def test_a_key_point_far_away_has_a_normal_number() -> None:
    far = point_similarity(torch.full((1, 2, 2), 1e6), torch.zeros(1, 2, 2), AREAS, SIGMAS)
    assert torch.equal(far, torch.full((1, 2), FLOOR).exp()) and (far > torch.finfo(torch.float32).tiny).all()


def test_oks_is_the_mean_over_visible_key_points() -> None:
    found, truth = torch.tensor([[[2.0, 0.0], [0.0, 0.0]]]), torch.zeros(1, 2, 2)
    for visible, oks in (([1, 1], (1 + math.exp(-0.5)) / 2), ([1, 0], math.exp(-0.5)), ([0, 0], 0.0)):
        got = keypoint_similarity(found, truth, torch.tensor([visible]), AREAS, SIGMAS)
        close(got, torch.tensor([oks]))
