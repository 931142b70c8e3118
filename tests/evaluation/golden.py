"""The reference's recorded data: ground truth, detections and what they are worth."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from workbench.core.skeletons import COCO, CROWDPOSE
from workbench.evaluation.coco_ap import Evaluation, evaluate_coco, evaluate_crowdpose
from workbench.tensors import Detections

GOLDEN = Path(__file__).parents[1] / "golden" / "eval"
SETS = {"coco": COCO, "crowdpose": CROWDPOSE}


def read(path: Path) -> Any:
    return json.loads(path.read_text())


def golden_detections(name: str, score: str = "bbox") -> list[Detections]:
    arrays = np.load(GOLDEN / f"{name}_pred_arrays.npz")
    found = []
    for i, image_id in enumerate(arrays["img_ids"]):
        points = arrays[f"{i}_keypoint_scores"]
        scores = rescored(score, arrays[f"{i}_bbox_scores"], points)
        found.append(
            Detections(
                boxes=arrays[f"{i}_bboxes"],
                scores=scores,
                labels=np.zeros(len(scores), np.int64),
                keypoints=arrays[f"{i}_keypoints"],
                keypoint_scores=points,
                image_id=int(image_id),
            )
        )
    return found


def rescored(mode: str, box: np.ndarray, points: np.ndarray) -> np.ndarray:
    if mode == "bbox" or not len(box):
        return box
    if mode == "keypoint":
        return points.mean(1)
    if mode == "bbox_rle":
        return box + points.mean(1) + points.max(1)
    sure = points > 0.2
    return box * (points * sure).sum(1) / np.maximum(sure.sum(1), 1)


def golden(name: str, **options: Any) -> Evaluation:
    truth, sigmas = read(GOLDEN / f"{name}_gt.json"), SETS[name].sigmas
    found = golden_detections(name, options.pop("score", "bbox"))
    evaluate = evaluate_coco if name == "coco" else evaluate_crowdpose
    return evaluate(truth, found, sigmas, **options)
