"""Detections and suppression against the reference's numbers, and at their limits."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from tests.models.steps import images, network
from tests.models.tiny import inference, pixels
from tests.recorded import close, golden
from workbench.data.transforms.geometry import Letterbox
from workbench.models.decode import detect, keep, survivors
from workbench.tensors import Cells, Dense

PREDICTIONS = {"default": (0.1, 0.65, 100_000), "low": (0.003, 0.65, 100_000), "pre": (0.003, 0.3, 20)}


@pytest.mark.parametrize("tag", PREDICTIONS)
def test_predictions(tag: str) -> None:
    network, _ = inference()
    g = golden("tiny/inference")
    score, overlap, most = PREDICTIONS[tag]
    images = pixels(g["image_uint8_bgr_nhwc"])
    found = detect(network, images, score_threshold=score, nms_threshold=overlap, nms_pre=most)
    center, scale = g["back_mapping_input_center"], g["back_mapping_input_scale"]
    for i, one in enumerate(found):
        prefix = f"pred_{tag}_img{i}_"
        assert len(one) == len(g[prefix + "bboxes"])
        assert one.labels.tolist() == g[prefix + "labels"].tolist()
        for ours, name in (
            (one.boxes, "bboxes"),
            (one.scores, "bbox_scores"),
            (one.keypoints, "keypoints"),
            (one.keypoint_scores, "keypoint_scores"),
        ):
            close(torch.from_numpy(ours), g[prefix + name], what=prefix + name)
        back = Letterbox((128, 160), center[i].numpy(), scale.numpy()).detections_back(one)
        close(torch.from_numpy(back.keypoints), g[prefix + "keypoints_orig"].float(), what=tag)
        close(torch.from_numpy(back.boxes), g[prefix + "bboxes_orig"].float(), what=tag)


def lone_cells(boxes: Tensor, scores: Tensor) -> Dense:
    n = len(boxes)
    return Dense(
        cls=scores.logit()[None, :, None],
        box_raw=boxes[None],
        boxes=boxes[None],
        proxy=None,
        vis=torch.zeros(1, n, 17),
        pose=torch.zeros(1, n, 4),
        points=boxes[:, :2],
        strides=torch.ones(n),
        canvas=(64, 64),
    )


def test_suppression() -> None:
    g = golden("pieces/nms")
    dense = lone_cells(g["boxes"], g["scores"])
    for name, threshold in (("keep_065", 0.65), ("keep_03", 0.3), ("keep_01", 0.1)):
        _, cell, score, _ = keep(dense, 0.0, threshold, 100_000)
        assert cell.tolist() == g[name].tolist()
        close(score, g["scores"][cell])
    _, cell, score, _ = keep(dense, 0.3, 1.0, 15)
    assert cell.tolist() == g["filter_thr03_top15_index"].tolist()
    close(score, g["filter_thr03_top15_scores"])


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


def test_the_persons_are_the_same_in_lots() -> None:
    net, _ = inference()
    seen = pixels(golden("tiny/inference")["image_uint8_bgr_nhwc"])
    ran: list[int] = []
    hook = net.coords.decode

    def counted(cells: Cells) -> Tensor:
        ran.append(len(cells.boxes))
        return hook(cells)

    net.coords.decode = counted
    try:
        whole, parts = (detect(net, seen, score_threshold=0.003, lot=lot) for lot in (None, 7))
    finally:
        del net.coords.decode
    assert ran[0] == sum(ran[1:]) > 7 >= max(ran[1:])
    for a, b in zip(whole, parts, strict=True):
        assert (a.scores == b.scores).all() and (a.boxes == b.boxes).all()
        assert abs(a.keypoints - b.keypoints).max(initial=0) < 1e-3
