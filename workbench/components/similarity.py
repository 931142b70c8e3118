"""How alike two persons are: intersection over union of boxes, object key point similarity (OKS) of poses."""

from __future__ import annotations

from torch import Tensor

FLOOR = -80.0  # exp below it has no normal float32; such numbers are 0 for us but ten times slower


def box_iou(boxes: Tensor, others: Tensor) -> Tensor:
    """Intersection over union of boxes x1, y1, x2, y2, pair by pair: (..., 4) and (..., 4) -> (...), in float32."""
    a, b = boxes.float().unbind(-1), others.float().unbind(-1)
    across = a[2].minimum(b[2]) - a[0].maximum(b[0])
    down = a[3].minimum(b[3]) - a[1].maximum(b[1])
    both = across.clamp(min=0) * down.clamp(min=0)
    union = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - both
    return both / union.clamp(min=1e-6)


def point_similarity(keypoints: Tensor, others: Tensor, areas: Tensor, sigmas: Tensor) -> Tensor:
    """exp(-d^2 / (2 area (2 sigma)^2)) of each key point: (..., K, 2) twice, areas (...), sigmas (K,) -> (..., K)."""
    offset = keypoints.float() - others.float()
    squared = offset[..., 0].square() + offset[..., 1].square()
    scale = areas.float().clamp(min=1e-16)[..., None] * (-8 * sigmas.float().square())
    return (squared / scale).clamp(min=FLOOR).exp()


def keypoint_similarity(keypoints: Tensor, others: Tensor, visible: Tensor, areas: Tensor, sigmas: Tensor) -> Tensor:
    """OKS: mean similarity over the visible key points, 0 where none is visible; visible (..., K) -> (...)."""
    weight = visible.float()
    total = (point_similarity(keypoints, others, areas, sigmas) * weight).sum(-1)
    return total / weight.sum(-1).clamp(min=1e-8)
