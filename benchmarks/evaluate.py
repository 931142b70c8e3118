"""What the evaluation of 5,000 images costs, ours and pycocotools' side by side, and how far their numbers differ.

Run:   workbench bench evaluate [--data /data/coco]

CPU seconds of one thread, from ground truth as read and detections as the network gives them to every number and the
match records. With --data the ground truth is that of the folder's validation part in place of the synthetic one.
Detections are persons of the ground truth moved about, twice some of them, and others where nobody is.
"""

from __future__ import annotations

import argparse
import csv
import json
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch

from workbench.core.provenance import commit, machine_name
from workbench.core.skeletons import COCO
from workbench.data.datasets.folder import open_dataset
from workbench.evaluation.coco_ap import Evaluation, evaluate_coco
from workbench.evaluation.reference import reference_coco
from workbench.tensors import Detections

IMAGES, ROUNDS = 5_000, 3
TABLE = Path("reports/data/bench_evaluate.csv")
Evaluate = Callable[[dict[str, Any], Sequence[Detections], Sequence[float]], Evaluation]


def main(options: Sequence[str] = ()) -> int:
    """Prints the seconds and the largest difference and adds a line to the table."""
    parser = argparse.ArgumentParser(prog="workbench bench evaluate")
    parser.add_argument("--data", type=Path, help="folder in COCO or CrowdPose layout: its validation part")
    data: Path | None = parser.parse_args(options).data
    torch.set_num_threads(1)
    rng = np.random.default_rng(0)
    truth = people(IMAGES, rng) if data is None else json.loads(open_dataset(data, "val").file.read_text("utf-8"))
    found = jittered(truth, rng)
    took: dict[str, list[float]] = {"ours": [], "pycocotools": []}
    seen: dict[str, Evaluation] = {}
    for _ in range(ROUNDS):
        for name, evaluate in (("ours", evaluate_coco), ("pycocotools", reference_coco)):
            seen[name], seconds = _timed(evaluate, truth, found)
            took[name].append(seconds)
    ours, theirs = (float(np.median(took[name])) for name in ("ours", "pycocotools"))
    line = {
        "ground_truth": "synthetic" if data is None else data.name,
        "images": len(truth["images"]),
        "persons": len(truth["annotations"]),
        "detections": sum(map(len, found)),
        "ours_cpu_s": f"{ours:.2f}",
        "pycocotools_cpu_s": f"{theirs:.2f}",
        "ratio": f"{theirs / ours:.1f}",
        "largest_difference": f"{largest_difference(seen['ours'], seen['pycocotools']):.1e}",
        "AP": f"{seen['ours']['AP']:.4f}",
        "rounds": ROUNDS,
        "threads": 1,
        "machine": machine_name(),
        "commit": commit(),
        "date": datetime.now(UTC).isoformat(timespec="minutes"),
    }
    for name, value in line.items():
        print(f"{name:20} {value}")
    _append(line)
    return 0


def people(images: int, rng: np.random.Generator) -> dict[str, Any]:
    """COCO ground truth: nobody to a dozen persons per image, some of them crowds or without labelled key points."""
    annotations: list[dict[str, Any]] = []
    for image in range(images):
        for _ in range(rng.integers(0, 13)):
            side = rng.uniform(20, 300, 2)
            corner = rng.uniform(0, 640 - side)
            points = corner + rng.random((len(COCO), 2)) * side
            visible = rng.choice([0, 1, 2], len(COCO), p=[0.25, 0.15, 0.6]) * (rng.random() > 0.1)
            points[visible == 0] = 0
            annotations.append({
                "id": len(annotations) + 1, "image_id": image, "category_id": 1, "iscrowd": int(rng.random() < 0.02),
                "num_keypoints": int((visible > 0).sum()), "area": float(0.6 * side.prod()),
                "bbox": [*corner.tolist(), *side.tolist()],
                "keypoints": np.concatenate([points.round(), visible[:, None]], 1).ravel().tolist(),
            })  # fmt: skip
    numbers = [{"id": i, "width": 640, "height": 640} for i in range(images)]
    return {"images": numbers, "annotations": annotations, "categories": [{"id": 1, "name": "person"}]}


def jittered(truth: dict[str, Any], rng: np.random.Generator, others: int = 8) -> list[Detections]:
    """One record per image: its persons moved, one in five twice, one in ten not at all; up to `others` elsewhere.

    Scores have two digits, so that many are equal.
    """
    by_image: dict[int, list[dict[str, Any]]] = defaultdict(list)
    for ann in truth["annotations"]:
        by_image[ann["image_id"]].append(ann)
    return [_seen(image["id"], by_image[image["id"]], rng, others) for image in truth["images"]]


def _seen(image: int, persons: list[dict[str, Any]], rng: np.random.Generator, others: int) -> Detections:
    chosen = [ann for ann in persons for _ in range(rng.choice([0, 1, 2], p=[0.1, 0.7, 0.2]))]
    boxes = [ann["bbox"] for ann in chosen] + [[*rng.uniform(0, 500, 2), 80, 120] for _ in range(rng.integers(others))]
    box = np.asarray(boxes, np.float64).reshape(-1, 4)
    keypoints = len(persons[0]["keypoints"]) // 3 if persons else len(COCO)
    points = box[:, None, :2] + rng.random((len(box), keypoints, 2)) * box[:, None, 2:]
    for row, ann in enumerate(chosen):
        marked = np.asarray(ann["keypoints"], np.float64).reshape(-1, 3)
        points[row][marked[:, 2] > 0] = marked[marked[:, 2] > 0, :2]
    size = np.sqrt(box[:, 2:].prod(1))[:, None, None]
    points += rng.normal(size=points.shape) * rng.exponential(0.05, len(box))[:, None, None] * size
    return Detections(
        boxes=np.concatenate([box[:, :2], box[:, :2] + box[:, 2:]], 1).astype(np.float32),
        scores=rng.random(len(box)).round(2).astype(np.float32),
        labels=np.zeros(len(box), np.int64),
        keypoints=points.astype(np.float32),
        keypoint_scores=np.ones(points.shape[:2], np.float32),
        image_id=image,
    )


def largest_difference(a: Evaluation, b: Evaluation) -> float:
    """Of any named number; where one alone is nan, nan."""
    return max(abs(a[name] - b[name]) if np.isfinite([a[name], b[name]]).any() else 0.0 for name in a.values)


def _timed(evaluate: Evaluate, truth: dict[str, Any], found: list[Detections]) -> tuple[Evaluation, float]:
    began = time.process_time()  # of all threads of this process
    return evaluate(truth, found, COCO.sigmas), time.process_time() - began


def _append(line: dict[str, object]) -> None:
    new = not TABLE.exists()
    with TABLE.open("a", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(line), lineterminator="\n")
        if new:
            writer.writeheader()
        writer.writerow(line)
