"""Real annotations and results beside the checkout."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.evaluation.golden import read
from workbench.core.keypoints import Skeleton
from workbench.tensors import Detections

SHARED = Path(__file__).parents[2].parent / "shared" / "data"


def from_results(rows: list[dict[str, Any]], skeleton: Skeleton) -> list[Detections]:
    by_image: dict[int, list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        by_image[row["image_id"]].append(row)
    found = []
    for image_id, group in by_image.items():
        points = np.asarray([row["keypoints"] for row in group], np.float64).reshape(-1, len(skeleton), 3)
        found.append(
            Detections(
                boxes=np.zeros((len(group), 4), np.float32),
                scores=np.asarray([row["score"] for row in group], np.float64).astype(np.float32),
                labels=np.zeros(len(group), np.int64),
                keypoints=points[..., :2].astype(np.float32),
                keypoint_scores=points[..., 2].astype(np.float32),
                image_id=image_id,
            )
        )
    return found


def shared(*parts: str) -> Any:
    path = SHARED.joinpath(*parts)
    if not path.exists():
        pytest.skip(f"needs ../shared/data/{'/'.join(parts)}")
    return read(path)
