"""The augmentations with their parameters given: nothing here is random.

Sizes are (height, width), points and offsets (x, y). Functions return new samples and leave their argument alone.
Source: RTMO (arXiv 2312.07526) as released; mosaic and mix-up as YOLOX has them (arXiv 2107.08430).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from workbench.skeletons import skeleton
from workbench.tensors import Sample

PAD = 114  # grey of what lies beyond an image
Image = NDArray[np.uint8]
Size = tuple[int, int]
Matrix = NDArray[np.float64]


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
    return _warped(image, window(center, scale, 0.0, size), size), center, scale


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
        ignore = (_warped(ignore * 255, matrix, size, 0) > 127).astype(np.uint8)
    moved = replace(
        sample,
        image=_warped(sample.image, matrix, size),
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


def _warped(image: Image, matrix: Matrix, size: Size, pad: int = PAD) -> Image:
    flags = cv2.INTER_LINEAR
    out = cv2.warpAffine(image, matrix[:2], (size[1], size[0]), flags=flags, borderValue=(pad, pad, pad))
    return np.asarray(out, np.uint8)


def mosaic(samples: Sequence[Sample], size: Size, center: tuple[float, float]) -> Sample:
    """Four samples about one point of a canvas twice `size`: top left, top right, bottom left, bottom right.

    Each is resized to fit `size`. The point is `center` times `size`. What lies over the edge is cut off.
    """
    high, wide = size
    x, y = int(center[0] * wide), int(center[1] * high)
    canvas = np.full((2 * high, 2 * wide, 3), PAD, np.uint8)
    parts = []
    for place, sample in enumerate(samples):
        part = fitted(sample, size)
        h, w = part.image.shape[:2]
        left, top = (x if place % 2 else x - w), (y if place >= 2 else y - h)
        _paste(canvas, part.image, left, top)
        parts.append(_moved(part, left, top))
    return replace(_cut(_joined(parts), (2 * high, 2 * wide)), image=canvas)


def fitted(sample: Sample, size: Size) -> Sample:
    """The sample resized so that it just fits `size`: whole pixels, rounded down. Its ignore mask is dropped."""
    height, width = sample.image.shape[:2]
    ratio = min(size[0] / height, size[1] / width)
    image = _resized(sample.image, (int(height * ratio), int(width * ratio)))
    return _zoomed(replace(sample, image=image, ignore=None), ratio)


def mixup(sample: Sample, other: Sample, jitter: float, flip: bool, top: int, left: int) -> Sample:
    """Half `sample`, half a window of `other`: fitted at the top left of a grey canvas, resized by `jitter`.

    `top` and `left` say where the window begins; `mixup_room` says how far it can.
    """
    high, wide = size = _size(sample.image)
    part = fitted(other, size)
    canvas = np.full((high, wide, 3), PAD, np.uint8)
    _paste(canvas, part.image, 0, 0)
    # not rounded to whole values before the two are averaged, and then rounded down
    zoomed = cv2.resize(canvas.astype(np.float32), (int(wide * jitter), int(high * jitter)))
    scaled = _zoomed(replace(part, image=zoomed), jitter)
    if flip:
        scaled = mirrored(scaled)
    cut = scaled.image[top : top + high, left : left + wide]
    seen = np.full((high, wide, 3), PAD, np.float32)
    seen[: cut.shape[0], : cut.shape[1]] = cut
    image = ((sample.image + seen) * np.float32(0.5)).astype(np.uint8)
    return replace(_joined([sample, _cut(_moved(scaled, -left, -top), size)]), image=image)


def mixup_room(size: Size, jitter: float) -> tuple[int, int]:
    """By how much the second image of `mixup` is larger than the first: (rows, columns)."""
    return max(int(size[0] * jitter) - size[0], 0), max(int(size[1] * jitter) - size[1], 0)


def shift_hsv(image: Image, hue: int, saturation: int, value: int) -> Image:
    """Hue (degrees / 2, modulo 180), saturation and value (0..255, clipped) moved by whole steps."""
    steps = np.arange(256)
    table = np.stack([(steps + hue) % 180, (steps + saturation).clip(0, 255), (steps + value).clip(0, 255)], 1)
    shifted = cv2.LUT(cv2.cvtColor(image, cv2.COLOR_BGR2HSV), table.astype(np.uint8)[None])
    return np.asarray(cv2.cvtColor(shifted, cv2.COLOR_HSV2BGR), np.uint8)


def mirrored(sample: Sample) -> Sample:
    """Left and right exchanged, in the image and in the names of the key points: x becomes width - 1 - x."""
    last = sample.image.shape[1] - 1
    swap = list(skeleton(sample.keypoints.shape[1]).flip)
    x1, y1, x2, y2 = sample.boxes.T
    keypoints = sample.keypoints[:, swap]
    keypoints[..., 0] = last - keypoints[..., 0]
    return replace(
        sample,
        image=np.asarray(cv2.flip(sample.image, 1), sample.image.dtype),
        boxes=np.stack([last - x2, y1, last - x1, y2], 1),
        keypoints=keypoints,
        visible=sample.visible[:, swap],
        keypoint_weights=sample.keypoint_weights[:, swap],
        ignore=None if sample.ignore is None else np.asarray(cv2.flip(sample.ignore, 1), np.uint8),
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


def _resized(image: Image, size: Size) -> Image:
    if _size(image) == size:
        return image
    out = cv2.resize(image, (max(size[1], 1), max(size[0], 1)), interpolation=cv2.INTER_LINEAR)
    return np.asarray(out, np.uint8)


def _paste(canvas: Image, image: Image, left: int, top: int) -> None:
    """Draw the part of the image that lies on the canvas."""
    (high, wide), (h, w) = _size(canvas), _size(image)
    x1, y1, x2, y2 = max(left, 0), max(top, 0), min(left + w, wide), min(top + h, high)
    if x1 < x2 and y1 < y2:
        canvas[y1:y2, x1:x2] = image[y1 - top : y2 - top, x1 - left : x2 - left]


def _size(image: Image) -> Size:
    return image.shape[0], image.shape[1]
