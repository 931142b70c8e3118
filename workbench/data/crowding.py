"""The crowd index of CrowdPose (arXiv 1812.00324): how much the persons of an image are in each other's way."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def crowd_index(boxes: NDArray[np.float32], keypoints: NDArray[np.float32], visible: NDArray[np.float32]) -> float:
    """Mean over persons of min(1, others' key points in the person's box / own ones in it); 0 without a person.

    Args:
        boxes: (G, 4) x1, y1, x2, y2.
        keypoints: (G, K, 2).
        visible: (G, K), above 0 where a key point is labelled.
    """
    if len(boxes) == 0:
        return 0.0
    x, y = keypoints[None, ..., 0], keypoints[None, ..., 1]
    left, top, right, bottom = (boxes[:, i, None, None] for i in range(4))
    held = ((x >= left) & (x <= right) & (y >= top) & (y <= bottom) & (visible > 0)[None]).sum(-1)  # (G, G)
    own = np.diag(held)
    return float(np.minimum((held.sum(1) - own) / np.maximum(own, 1), 1.0).mean())
