"""Ground truth and detections that tests make up."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from workbench.tensors import Detections


def awkward(seed: int, images: int = 12) -> tuple[dict[str, Any], list[Detections]]:
    """Everything that decides between two ways to match: few places, so that OKS are equal; few scores, so that they
    are; more than 20 detections, images with nobody or nothing, three classes, crowds, persons without labelled key
    points (with and without their number saying so), sizes at the borders of the ranges."""
    rng = np.random.default_rng(seed)
    persons, some = [], []
    for image in range(images):
        for _ in range(rng.choice([0, 3, 9, 12])):
            more: dict[str, Any] = {"category_id": int(rng.integers(1, 4)), "area": float(rng.choice(SIZES))}
            if rng.random() < 0.25:
                more["iscrowd"] = 1
            if rng.random() < 0.2:
                more["num_keypoints"] = 0
            one = person(len(persons) + 1, image, float(rng.choice(PLACES)), **more)
            hidden = rng.random(17) < rng.choice([0, 0.5, 1], p=[0.5, 0.3, 0.2])
            one["keypoints"] = [0 if hidden[i // 3] else v for i, v in enumerate(one["keypoints"])]
            persons.append(one)
        count = int(rng.choice([0, 3, 8, 30], p=[0.2, 0.35, 0.35, 0.1]))
        xs = (rng.choice(PLACES, count) + rng.choice([0, 0, 5, 7.5], count)).tolist()
        seen = found(
            image, xs, rng.choice([0.3, 0.6, 0.9], count).tolist(), rng.integers(0, rng.choice([1, 3]), count).tolist()
        )
        some.append(replace(seen, boxes=seen.boxes * rng.choice([0.1, 0.5, 1]).astype(np.float32)))
    truth = scene(*persons, images=images)
    truth["categories"] = [{"id": c, "name": str(c)} for c in (1, 2, 3)]
    for one in truth["images"]:
        one["crowdIndex"] = float(rng.choice([0.0, 0.2, 0.5, 0.8, 1.0]))
    return truth, [some[i] for i in rng.permutation(images)]


PLACES = np.asarray([40, 50, 60, 300, 310])
SIZES = [200.0, 32.0**2, 5_000.0, 96.0**2, 96.0**2 + 1, 40_000.0]


def person(number: int, image_id: int, x: float, **more: Any) -> dict[str, Any]:
    points = [[x + 10.0 * i, 20.0 + 5 * i, 2] for i in range(17)]
    return {
        "id": number, "image_id": image_id, "category_id": 1, "iscrowd": 0, "num_keypoints": 17, "area": 10_000.0,
        "bbox": [x, 20, 160, 80], "keypoints": [v for p in points for v in p],
    } | more  # fmt: skip


def scene(*persons: dict[str, Any], images: int = 2) -> dict[str, Any]:
    return {
        "images": [{"id": i, "crowdIndex": 0.5} for i in range(images)],
        "annotations": list(persons),
        "categories": [{"id": 1, "name": "person"}],
    }


def found(image_id: int, xs: list[float], scores: list[float], labels: list[int] | None = None) -> Detections:
    points = np.asarray([[[x + 10.0 * i, 20.0 + 5 * i] for i in range(17)] for x in xs], np.float32).reshape(-1, 17, 2)
    return Detections(
        boxes=np.asarray([[x, 20, x + 160, 100] for x in xs], np.float32).reshape(-1, 4),
        scores=np.asarray(scores, np.float32),
        labels=np.asarray(labels or [0] * len(xs), np.int64),
        keypoints=points,
        keypoint_scores=np.ones((len(xs), 17), np.float32),
        image_id=image_id,
    )


def street(seed: int, copies: list[int], classes: int = 1) -> tuple[dict[str, Any], list[Any]]:
    """Images of 0 to 4 people, some of a crowd or without labels, and detections of all qualities with tied scores."""
    rng = np.random.default_rng(seed)
    images: list[dict[str, Any]] = []
    people: list[dict[str, Any]] = []
    seen: list[Any] = []
    for repeat in copies:
        at = rng.uniform(0, 2000, rng.integers(0, 5))
        kinds = rng.choice(["", "", "", "crowd", "bare"], len(at))
        areas, category = rng.uniform(500, 50_000, len(at)), rng.integers(0, classes, len(at))
        spread = rng.exponential(12, len(at)) * (rng.random(len(at)) < 0.9)
        xs = [*(at + spread), *rng.uniform(0, 2000, rng.integers(0, 3))]
        labels = [*category, *rng.integers(0, classes, len(xs) - len(at))]
        scores = rng.permutation(30)[: len(xs)] / 30  # distinct in an image, tied between images
        for _ in range(repeat):
            number = len(images)
            images.append({"id": number, "crowdIndex": 0.5})
            for x, kind, area, c in zip(at, kinds, areas, category, strict=True):
                more: dict[str, Any] = {"area": float(area), "category_id": int(c) + 1}
                more |= {"iscrowd": 1} if kind == "crowd" else {}
                more |= {"num_keypoints": 0, "keypoints": [0] * 51} if kind == "bare" else {}
                people.append(person(len(people) + 1, number, float(x), **more))
            seen.append(found(number, xs, scores.tolist(), [int(c) for c in labels]))
    truth = scene(*people, images=0) | {"images": images}
    truth["categories"] = [{"id": c + 1, "name": str(c)} for c in range(classes)]
    return truth, seen
