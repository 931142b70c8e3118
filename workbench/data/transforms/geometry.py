"""The augmentations with their parameters given: nothing here is random. What happens to pixels is in `pixels`.

Sizes are (height, width), points and offsets (x, y). Functions return new samples and leave their argument alone.
Source: RTMO (arXiv 2312.07526) as released; mosaic and mix-up as YOLOX has them (arXiv 2107.08430).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from workbench.core.keypoints import Skeleton
from workbench.data.transforms import pixels
from workbench.data.transforms.pixels import Matrix, Size
from workbench.tensors import Detections, Persons, Sample

ImageArray = NDArray[np.uint8]


def placement(width: int, height: int, size: Size) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Which window of an image the network sees: its centre and its extent, (x, y) in pixels of the image.

    The window has the proportion of `size` and holds the whole image, centred.
    """
    high, wide = size
    fit_w, fit_h = min(wide, high * width / height), min(high, wide * height / width)
    center = np.array([width / 2, height / 2], np.float32)
    return center, np.array([width * wide / fit_w, height * high / fit_h], np.float32)


@final
@dataclass(frozen=True)
class Letterbox:
    """The whole of an image centred on a canvas, and the way back. `Letterbox.of` makes one.

    Fields:
        size: of the canvas, the network input.
        center, extent: the window of the image that fills the canvas, (x, y) in pixels of the image.
    """

    size: Size
    center: NDArray[np.float32]
    extent: NDArray[np.float32]

    @classmethod
    def of(cls, image_size: Size, size: Size) -> Letterbox:
        """That of an image of some height and width."""
        return cls(size, *placement(image_size[1], image_size[0], size))

    @property
    def matrix(self) -> Matrix:
        """From pixels of the image to pixels of the canvas, (3, 3)."""
        return window(self.center, self.extent, 0.0, self.size)

    def image(self, image: ImageArray) -> ImageArray:
        """The canvas with the image on it, grey beyond."""
        return pixels.warped(image, self.matrix, self.size)

    def back(self, points: NDArray[np.float32]) -> NDArray[np.float32]:
        """Points (..., 2) of the canvas in pixels of the image."""
        network = np.array([self.size[1], self.size[0]], np.float32)
        return np.asarray(points / network * self.extent + self.center - self.extent / 2, np.float32)

    def detections_back(self, found: Detections) -> Detections:
        """Boxes and key points found on the canvas, in pixels of the image."""
        boxes = self.back(found.boxes.reshape(-1, 2, 2)).reshape(-1, 4)
        return replace(found, boxes=boxes, keypoints=self.back(found.keypoints))


def whole(sample: Sample, size: Size) -> Sample:
    """The whole image centred on a canvas of `size`, with its persons and its ignore mask."""
    return warp(sample, Letterbox.of(_size(sample.image), size).matrix, size)


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
    ignore = sample.ignore
    if ignore is not None:
        ignore = (pixels.warped(ignore * 255, matrix, size, 0) > 127).astype(np.uint8)
    persons = _cut(_moved(sample.persons, matrix), size)
    return replace(sample, image=pixels.warped(sample.image, matrix, size), persons=persons, ignore=ignore)


def mosaic(samples: Sequence[Sample], size: Size, center: tuple[float, float]) -> Sample:
    """Four samples about one point of a canvas twice `size`: top left, top right, bottom left, bottom right.

    Each is resized to fit `size`. The point is `center` times `size`. What lies over the edge is cut off.
    """
    high, wide = size
    x, y = int(center[0] * wide), int(center[1] * high)
    persons, places = [], []
    for place, sample in enumerate(samples):
        part = fitted(sample, size)
        h, w = part.image.shape[:2]
        left, top = (x if place % 2 else x - w), (y if place >= 2 else y - h)
        persons.append(_shifted(part.persons, left, top))
        places.append((part.image, left, top))
    canvas = 2 * high, 2 * wide
    everybody = _cut(Persons.concatenated(persons), canvas)
    return replace(samples[0], image=pixels.pasted(places, canvas), persons=everybody, ignore=None)


def fitted(sample: Sample, size: Size) -> Sample:
    """The sample resized so that it just fits `size`: whole pixels, rounded down. Its ignore mask is dropped."""
    height, width = sample.image.shape[:2]
    ratio = min(size[0] / height, size[1] / width)
    image = pixels.resized(sample.image, (int(height * ratio), int(width * ratio)))
    return replace(sample, image=image, persons=_scaled(sample.persons, ratio), ignore=None)


def mixup(sample: Sample, other: Sample, jitter: float, flip: bool, top: int, left: int) -> Sample:
    """Half `sample`, half a window of `other`: fitted at the top left of a grey canvas, resized by `jitter`.

    `top` and `left` say where the window begins; `mixup_room` says how far it can.
    """
    high, wide = size = _size(sample.image)
    part, zoom = fitted(other, size), (int(high * jitter), int(wide * jitter))
    image = pixels.mixed(sample.image, pixels.pasted([(part.image, 0, 0)], size), zoom, flip, top, left)
    seen = _scaled(part.persons, jitter)
    if flip:
        seen = _turned(seen, zoom[1], other.skeleton)
    everybody = Persons.concatenated([sample.persons, _cut(_shifted(seen, -left, -top), size)])
    return replace(sample, image=image, persons=everybody, ignore=None)


def mixup_room(size: Size, jitter: float) -> tuple[int, int]:
    """By how much the second image of `mixup` is larger than the first: (rows, columns)."""
    return max(int(size[0] * jitter) - size[0], 0), max(int(size[1] * jitter) - size[1], 0)


def mirrored(sample: Sample) -> Sample:
    """Left and right exchanged, in the image and in the names of the key points: x becomes width - 1 - x."""
    ignore = None if sample.ignore is None else np.ascontiguousarray(sample.ignore[:, ::-1])
    persons = _turned(sample.persons, sample.image.shape[1], sample.skeleton)
    return replace(sample, image=pixels.mirrored_pixels(sample.image), persons=persons, ignore=ignore)


def kept(sample: Sample) -> Sample:
    """Only persons with a visible key point and a box of more than a pixel either way; perhaps none."""
    persons = sample.persons
    width, height = persons.boxes[:, 2] - persons.boxes[:, 0], persons.boxes[:, 3] - persons.boxes[:, 1]
    return replace(sample, persons=persons.take((persons.visible > 0).any(1) & (width > 1) & (height > 1)))


# ------------------------------------------------------------------------------------------------------- persons


def _moved(persons: Persons, matrix: Matrix) -> Persons:
    """Under an affine `matrix`; boxes become the box around their four moved corners."""
    x1, y1, x2, y2 = persons.boxes.T
    corners = np.stack([x1, y1, x2, y1, x2, y2, x1, y2], 1).reshape(-1, 4, 2)
    corners = corners @ matrix[:2, :2].T + matrix[:2, 2]
    return replace(
        persons,
        boxes=np.concatenate([corners.min(1), corners.max(1)], 1).astype(np.float32),
        keypoints=(persons.keypoints @ matrix[:2, :2].T + matrix[:2, 2]).astype(np.float32),
        areas=(persons.areas * abs(np.linalg.det(matrix[:2, :2]))).astype(np.float32),
    )


def _cut(persons: Persons, size: Size) -> Persons:
    """Boxes clipped to `size`; key points beyond it no longer visible, where they are."""
    edge = np.array([size[1], size[0]], np.float32)
    inside = ((persons.keypoints >= 0) & (persons.keypoints <= edge)).all(-1)
    return replace(persons, boxes=persons.boxes.clip(0, np.tile(edge, 2)), visible=persons.visible * inside)


def _turned(persons: Persons, width: int, skeleton: Skeleton) -> Persons:
    """Mirrored in an image so wide."""
    last, swap = width - 1, list(skeleton.flip)
    x1, y1, x2, y2 = persons.boxes.T
    keypoints = persons.keypoints[:, swap]
    keypoints[..., 0] = last - keypoints[..., 0]
    return replace(
        persons,
        boxes=np.stack([last - x2, y1, last - x1, y2], 1),
        keypoints=keypoints,
        visible=persons.visible[:, swap],
        keypoint_weights=persons.keypoint_weights[:, swap],
    )


def _scaled(persons: Persons, ratio: float) -> Persons:
    scale = np.float32(ratio)
    boxes, keypoints = persons.boxes * scale, persons.keypoints * scale
    return replace(persons, boxes=boxes, keypoints=keypoints, areas=persons.areas * scale * scale)


def _shifted(persons: Persons, x: float, y: float) -> Persons:
    step = np.array([x, y], np.float32)
    return replace(persons, boxes=persons.boxes + np.tile(step, 2), keypoints=persons.keypoints + step)


def _size(image: Any) -> Size:
    return image.shape[0], image.shape[1]
