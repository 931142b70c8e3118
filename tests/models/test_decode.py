"""Detections and suppression against the reference's numbers."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from tests.models.tiny import inference, pixels
from tests.recorded import close, golden
from workbench.data.transforms.geometry import Letterbox
from workbench.models.decode import detect, keep
from workbench.tensors import Dense

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
