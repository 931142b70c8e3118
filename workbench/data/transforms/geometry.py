"""The augmentations with their parameters given: nothing here is random. What happens to pixels is in `pixels`.

Sizes are (height, width), points and offsets (x, y). Functions return new samples and leave their argument alone.
Source: RTMO (arXiv 2312.07526) as released; mosaic and mix-up as YOLOX has them (arXiv 2107.08430).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from workbench.core.skeletons import skeleton
from workbench.data.transforms import pixels
from workbench.data.transforms.pixels import Matrix, Size
from workbench.tensors import Sample

Image = NDArray[np.uint8]


def placement(width: int, height: int, size: Size) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Which window of an image the network sees: its centre and its extent, (x, y) in pixels of the image.

    The window has the proportion of `size` and holds the whole image, centred.
    """
    high, wide = size
    fit_w, fit_h = min(wide, high * width / height), min(high, wide * height / width)
    center = np.array([width / 2, height / 2], np.float32)
    return center, np.array([width * wide / fit_w, height * high / fit_h], np.float32)


def letterbox(image: Image, size: Size) -> tuple[Image, NDArray[np.float32], NDArray[np.float32]]:
    """The whole image centred on a canvas of `size`; with the centre and the extent that `unletterbox` needs."""
    height, width = image.shape[:2]
    center, scale = placement(width, height, size)
    return pixels.warped(image, window(center, scale, 0.0, size), size), center, scale


def unletterbox(
    points: NDArray[np.float32], size: Size, center: NDArray[np.float32], scale: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Points (..., 2) of the network input back in the image from which `letterbox` made it."""
    network = np.array([size[1], size[0]], np.float32)
    return np.asarray(points / network * scale + center - scale / 2, np.float32)


def window(center: Sequence[float] | NDArray, scale: Sequence[float] | NDArray, degrees: float, size: Size) -> Matrix:
    """The similarity (3, 3) that brings a window of the image to the whole of `size`, turned about its centre."""
    high, wide = size
    zoom, angle = wide / float(scale[0]), math.radians(degrees)
    cos, sin = zoom * math.cos(angle), zoom * math.sin(angle)
    x, y = float(center[0]), float(center[1])
    return np.array(
        [[cos, sin, wide / 2 - cos * x - sin * y], [-sin, cos, high / 2 + sin * x - cos * y], [0.0, 0.0, 1.0]]
    )


def fit_matrix(
    width: int, height: int, size: Size, offset: tuple[float, float], scale: float, degrees: float
) -> Matrix:
    """Stage 3: the window of `placement`, moved by a share of the image, `scale` times as large (smaller persons)."""
    center, extent = placement(width, height, size)
    moved = center + np.array(offset) * (width, height)
    return window(moved, extent * scale, degrees, size)


def warp_matrix(
    size: Size, offset: tuple[float, float], scale: float, degrees: float, shear: tuple[float, float]
) -> Matrix:
    """Stages 1 and 2: zoom, turn and shear about the centre of `size`, then move by a share of it.

    The centre is that of the output, not of the mosaic: the first image dominates. So it is in the released models.
    """
    high, wide = size
    x, y = wide / 2, high / 2
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    shear_x, shear_y = (math.tan(math.radians(s)) for s in shear)
    back = np.array([[1.0, 0.0, -x], [0.0, 1.0, -y], [0.0, 0.0, 1.0]])
    turn = np.array([[scale * cos, -scale * sin, 0.0], [scale * sin, scale * cos, 0.0], [0.0, 0.0, 1.0]])
    skew = np.array([[1.0, shear_x, 0.0], [shear_y, 1.0, 0.0], [0.0, 0.0, 1.0]])
    forth = np.array([[1.0, 0.0, x + offset[0] * wide], [0.0, 1.0, y + offset[1] * high], [0.0, 0.0, 1.0]])
    return forth @ skew @ turn @ back


def warp(sample: Sample, matrix: Matrix, size: Size) -> Sample:
    """Image, persons and ignore mask under an affine `matrix` (3, 3), on a canvas of `size`.

    Boxes become the box around the four moved corners, clipped. Key points that leave the canvas keep their place and
    are no longer visible.
    """
    x1, y1, x2, y2 = sample.boxes.T
    corners = np.stack([x1, y1, x2, y1, x2, y2, x1, y2], 1).reshape(-1, 4, 2)
    corners = corners @ matrix[:2, :2].T + matrix[:2, 2]
    boxes = np.concatenate([corners.min(1), corners.max(1)], 1)
    ignore = sample.ignore
    if ignore is not None:
        ignore = (pixels.warped(ignore * 255, matrix, size, 0) > 127).astype(np.uint8)
    moved = replace(
        sample,
        image=pixels.warped(sample.image, matrix, size),
        boxes=boxes.astype(np.float32),
        keypoints=(sample.keypoints @ matrix[:2, :2].T + matrix[:2, 2]).astype(np.float32),
        areas=(sample.areas * abs(np.linalg.det(matrix[:2, :2]))).astype(np.float32),
        ignore=ignore,
    )
    return _cut(moved, size)


def _cut(sample: Sample, size: Size) -> Sample:
    """Boxes clipped to `size`; key points beyond it no longer visible, where they are."""
    edge = np.array([size[1], size[0]], np.float32)
    inside = ((sample.keypoints >= 0) & (sample.keypoints <= edge)).all(-1)
    return replace(sample, boxes=sample.boxes.clip(0, np.tile(edge, 2)), visible=sample.visible * inside)


def mosaic(samples: Sequence[Sample], size: Size, center: tuple[float, float]) -> Sample:
    """Four samples about one point of a canvas twice `size`: top left, top right, bottom left, bottom right.

    Each is resized to fit `size`. The point is `center` times `size`. What lies over the edge is cut off.
    """
    high, wide = size
    x, y = int(center[0] * wide), int(center[1] * high)
    parts, places = [], []
    for place, sample in enumerate(samples):
        part = fitted(sample, size)
        h, w = part.image.shape[:2]
        left, top = (x if place % 2 else x - w), (y if place >= 2 else y - h)
        parts.append(_moved(part, left, top))
        places.append((part.image, left, top))
    canvas = 2 * high, 2 * wide
    return replace(_cut(_joined(parts), canvas), image=pixels.pasted(places, canvas))


def fitted(sample: Sample, size: Size) -> Sample:
    """The sample resized so that it just fits `size`: whole pixels, rounded down. Its ignore mask is dropped."""
    height, width = sample.image.shape[:2]
    ratio = min(size[0] / height, size[1] / width)
    image = pixels.resized(sample.image, (int(height * ratio), int(width * ratio)))
    return _zoomed(replace(sample, image=image, ignore=None), ratio)


def mixup(sample: Sample, other: Sample, jitter: float, flip: bool, top: int, left: int) -> Sample:
    """Half `sample`, half a window of `other`: fitted at the top left of a grey canvas, resized by `jitter`.

    `top` and `left` say where the window begins; `mixup_room` says how far it can.
    """
    high, wide = size = _size(sample.image)
    part, zoom = fitted(other, size), (int(high * jitter), int(wide * jitter))
    image = pixels.mixed(sample.image, pixels.pasted([(part.image, 0, 0)], size), zoom, flip, top, left)
    seen = _zoomed(part, jitter)
    if flip:
        seen = _turned(seen, zoom[1])
    return replace(_joined([sample, _cut(_moved(seen, -left, -top), size)]), image=image)


def mixup_room(size: Size, jitter: float) -> tuple[int, int]:
    """By how much the second image of `mixup` is larger than the first: (rows, columns)."""
    return max(int(size[0] * jitter) - size[0], 0), max(int(size[1] * jitter) - size[1], 0)


def mirrored(sample: Sample) -> Sample:
    """Left and right exchanged, in the image and in the names of the key points: x becomes width - 1 - x."""
    ignore = None if sample.ignore is None else np.ascontiguousarray(sample.ignore[:, ::-1])
    turned = _turned(sample, sample.image.shape[1])
    return replace(turned, image=pixels.mirrored_pixels(sample.image), ignore=ignore)


def _turned(sample: Sample, width: int) -> Sample:
    """The persons mirrored in an image so wide; the image is left to the caller."""
    last, swap = width - 1, list(skeleton(sample.keypoints.shape[1]).flip)
    x1, y1, x2, y2 = sample.boxes.T
    keypoints = sample.keypoints[:, swap]
    keypoints[..., 0] = last - keypoints[..., 0]
    return replace(
        sample,
        boxes=np.stack([last - x2, y1, last - x1, y2], 1),
        keypoints=keypoints,
        visible=sample.visible[:, swap],
        keypoint_weights=sample.keypoint_weights[:, swap],
    )


def kept(sample: Sample) -> Sample:
    """Only persons with a visible key point and a box of more than a pixel either way; perhaps none."""
    width, height = sample.boxes[:, 2] - sample.boxes[:, 0], sample.boxes[:, 3] - sample.boxes[:, 1]
    return _rows(sample, (sample.visible > 0).any(1) & (width > 1) & (height > 1))


def _rows(sample: Sample, keep: NDArray[np.bool_]) -> Sample:
    return replace(
        sample,
        boxes=sample.boxes[keep],
        keypoints=sample.keypoints[keep],
        visible=sample.visible[keep],
        areas=sample.areas[keep],
        labels=sample.labels[keep],
        keypoint_weights=sample.keypoint_weights[keep],
    )


def _joined(parts: Sequence[Sample]) -> Sample:
    """The persons of all parts, with the identity of the first."""
    return replace(
        parts[0],
        boxes=np.concatenate([p.boxes for p in parts]),
        keypoints=np.concatenate([p.keypoints for p in parts]),
        visible=np.concatenate([p.visible for p in parts]),
        areas=np.concatenate([p.areas for p in parts]),
        labels=np.concatenate([p.labels for p in parts]),
        keypoint_weights=np.concatenate([p.keypoint_weights for p in parts]),
        ignore=None,
    )


def _zoomed(sample: Sample, ratio: float) -> Sample:
    """The persons scaled; the image is left to the caller."""
    scale = np.float32(ratio)
    return replace(
        sample, boxes=sample.boxes * scale, keypoints=sample.keypoints * scale, areas=sample.areas * scale * scale
    )


def _moved(sample: Sample, x: float, y: float) -> Sample:
    step = np.array([x, y], np.float32)
    return replace(sample, boxes=sample.boxes + np.tile(step, 2), keypoints=sample.keypoints + step)


def _size(image: Any) -> Size:
    return image.shape[0], image.shape[1]
