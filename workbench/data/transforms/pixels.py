"""What the augmentations do to pixels: to an array at once, by OpenCV; to a sketch later, by torch, many together.

A `Sketch` stands for an image that is not made yet: a stored image, and what is done to it. The processes that draw the
random numbers and move the persons hand on sketches of a few hundred bytes. `draw` makes the images of a whole batch
where the stored ones lie, with as many kernels as there are kinds of steps, apart from what is resized and pasted.

Both ways compute the same. OpenCV resizes with 11-bit weights and turns colours back in another order of rounding, so
the two differ by a grey level here and there; `tests/test_pixels.py` says how often.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self, TypeVar, cast, final

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

PAD = 114  # grey of what lies beyond an image
Size = tuple[int, int]  # height, width
Matrix = NDArray[np.float64]
Back = tuple[tuple[float, float, float], tuple[float, float, float]]  # pixels of the result to pixels of the source


@dataclass(frozen=True)
class Sketch(ABC):
    """An image of `size` (height, width) that is made when it is wanted."""

    size: Size

    @property
    def shape(self) -> tuple[int, int, int]:
        """As that of an array."""
        return (*self.size, 3)

    @classmethod
    @abstractmethod
    def drawn(cls, those: Sequence[Self], stored: Sequence[Tensor]) -> Sequence[Tensor]:
        """The images of sketches of one kind and one size, each (H, W, 3) uint8."""


ImageOrSketch = TypeVar("ImageOrSketch", NDArray[np.uint8], Sketch)  # (H, W, 3), BGR


def draw(sketches: Sequence[Sketch], stored: Sequence[Tensor]) -> list[Tensor]:
    """The images (H, W, 3) uint8 of some sketches of `stored`, on its device; what is made alike is made together."""
    alike: dict[tuple[type[Sketch], Size], list[int]] = {}
    for place, sketch in enumerate(sketches):
        alike.setdefault((type(sketch), sketch.size), []).append(place)
    made: dict[int, Tensor] = {}
    for (kind, _), places in alike.items():
        made.update(zip(places, kind.drawn([sketches[place] for place in places], stored), strict=True))
    return [made[place] for place in range(len(sketches))]


@final
@dataclass(frozen=True)
class Stored(Sketch):
    """An image that is there already."""

    index: int

    @classmethod
    def drawn(cls, those: Sequence[Self], stored: Sequence[Tensor]) -> Sequence[Tensor]:
        return [stored[s.index] for s in those]


# Resize


def resized(image: ImageOrSketch, size: Size) -> ImageOrSketch:
    """The image brought to `size`, at least one pixel either way, by bilinear weights without smoothing."""
    size = max(size[0], 1), max(size[1], 1)
    if image.shape[:2] == size:
        return image
    if isinstance(image, Sketch):
        return Resized(size, image)
    return np.asarray(cv2.resize(image, size[::-1], interpolation=cv2.INTER_LINEAR), np.uint8)


@final
@dataclass(frozen=True)
class Resized(Sketch):
    of: Sketch

    @classmethod
    def drawn(cls, those: Sequence[Self], stored: Sequence[Tensor]) -> Sequence[Tensor]:
        images = (_planes(image[None]) for image in draw([s.of for s in those], stored))
        return [_pixels(F.interpolate(image, those[0].size, mode="bilinear"))[0] for image in images]


# Paste


def pasted(parts: Sequence[tuple[ImageOrSketch, int, int]], size: Size, pad: int = PAD) -> ImageOrSketch:
    """A canvas of one grey with images on it, each at its left and top; what lies over the edge is cut off."""
    if isinstance(parts[0][0], Sketch):
        return Pasted(size, cast(Any, tuple(parts)), pad)
    canvas = np.full((*size, 3), pad, np.uint8)
    for image, left, top in parts:
        _paste(canvas, image, left, top)
    return cast(Any, canvas)


def _paste(canvas: Any, image: Any, left: int, top: int) -> None:
    """Draw the part of the image that lies on the canvas: arrays or tensors."""
    (high, wide), (h, w) = canvas.shape[:2], image.shape[:2]
    x1, y1, x2, y2 = max(left, 0), max(top, 0), min(left + w, wide), min(top + h, high)
    if x1 < x2 and y1 < y2:
        canvas[y1:y2, x1:x2] = image[y1 - top : y2 - top, x1 - left : x2 - left]


@final
@dataclass(frozen=True)
class Pasted(Sketch):
    parts: tuple[tuple[Sketch, int, int], ...]  # with left, top
    pad: int

    @classmethod
    def drawn(cls, those: Sequence[Self], stored: Sequence[Tensor]) -> Sequence[Tensor]:
        images = iter(draw([image for s in those for image, _, _ in s.parts], stored))
        return [s._one(images, stored[0].device) for s in those]

    def _one(self, images: Any, device: torch.device) -> Tensor:
        canvas = torch.full(self.shape, self.pad, dtype=torch.uint8, device=device)
        for (_, left, top), image in zip(self.parts, images, strict=False):  # the next of all images
            _paste(canvas, image, left, top)
        return canvas


# Warp


def warped(image: ImageOrSketch, matrix: Matrix, size: Size, pad: int = PAD) -> ImageOrSketch:
    """The image under an affine `matrix` (2 or 3, 3), on a canvas of `size`, bilinear, with grey beyond its edges."""
    if isinstance(image, Sketch):
        back = np.linalg.inv(np.vstack([matrix[:2], [0.0, 0.0, 1.0]]))
        return Warped(size, image, cast(Back, tuple(map(tuple, back[:2].tolist()))))
    grey, flags = (pad, pad, pad), cv2.INTER_LINEAR
    return np.asarray(cv2.warpAffine(image, matrix[:2], size[::-1], flags=flags, borderValue=grey), np.uint8)


@final
@dataclass(frozen=True)
class Warped(Sketch):
    of: Sketch
    back: Back

    @classmethod
    def drawn(cls, those: Sequence[Self], stored: Sequence[Tensor]) -> Sequence[Tensor]:
        images = _planes(_stacked(draw([s.of for s in those], stored))).sub_(PAD)  # beyond it is 0
        seen = _sampled(images, [s.back for s in those], those[0].size, "zeros")
        return _pixels(seen.add_(PAD)).unbind()


def _sampled(images: Tensor, back: Sequence[Back], size: Size, beyond: str) -> Tensor:
    """What lies at the pixels that `back` leads to: (n, 3, H, W) float to (n, 3, *size). A pixel's centre is whole."""
    sides = torch.tensor(images.shape[:1:-1], dtype=torch.float64)  # width, height
    scaled = torch.tensor(back, dtype=torch.float64) * (2 / sides)[:, None]  # (n, 2, 3), in -1..1 over the image
    scaled[..., 2] += 1 / sides - 1
    a, b, c = scaled.float().to(images.device, non_blocking=True)[:, None, None].unbind(-1)  # each (n, 1, 1, 2)
    y, x = (torch.arange(side, device=images.device, dtype=torch.float32)[:, None] for side in size)
    grid = a * x + (b * y[:, None] + c)  # (n, H, W, 2)
    return F.grid_sample(images, grid, mode="bilinear", padding_mode=beyond, align_corners=False)


# Mix


def mixed(image: ImageOrSketch, other: ImageOrSketch, zoom: Size, flip: bool, top: int, left: int) -> ImageOrSketch:
    """Half the image, half a window of another one of the same size: resized to `zoom`, perhaps mirrored, seen from
    its `top` and `left` on, with grey beyond its edges. The mean is rounded down, and nothing before it."""
    high, wide = image.shape[:2]
    if isinstance(image, Sketch) and isinstance(other, Sketch):
        sx, sy = wide / zoom[1], high / zoom[0]
        first = zoom[1] - 1 - left if flip else left
        back = ((-sx if flip else sx, 0.0, (first + 0.5) * sx - 0.5), (0.0, sy, (top + 0.5) * sy - 0.5))
        return Mixed((high, wide), image, other, back, (zoom[0] - top, zoom[1] - left))
    zoomed = cv2.resize(cast(Any, other).astype(np.float32), zoom[::-1])
    if flip:
        zoomed = cv2.flip(zoomed, 1)
    cut = zoomed[top : top + high, left : left + wide]
    seen = np.full((high, wide, 3), PAD, np.float32)
    seen[: cut.shape[0], : cut.shape[1]] = cut
    return ((cast(Any, image) + seen) * np.float32(0.5)).astype(np.uint8)


@final
@dataclass(frozen=True)
class Mixed(Sketch):
    of: Sketch
    other: Sketch
    back: Back
    seen: Size  # how many rows and columns the other one covers, from the top left

    @classmethod
    def drawn(cls, those: Sequence[Self], stored: Sequence[Tensor]) -> Sequence[Tensor]:
        images, others = (_planes(_stacked(draw(p, stored))) for p in ([s.of for s in those], [s.other for s in those]))
        seen = _sampled(others, [s.back for s in those], those[0].size, "border")
        rows, columns = (torch.arange(side, device=seen.device) for side in those[0].size)
        last = torch.tensor([s.seen for s in those]).to(seen.device, non_blocking=True)[..., None, None, None]  # n, 2
        covered = (rows[:, None] < last[:, 0]) & (columns < last[:, 1])  # (n, 1, H, W)
        return _pixels(((images + seen.where(covered, PAD)) * 0.5).floor()).unbind()


# Colours


def shifted(image: ImageOrSketch, hue: int, saturation: int, value: int) -> ImageOrSketch:
    """Hue (degrees / 2, modulo 180), saturation and value (0..255, clipped) moved by whole steps."""
    if isinstance(image, Sketch):
        return Shifted(image.size, image, (hue, saturation, value))
    steps = np.arange(256)
    table = np.stack([(steps + hue) % 180, (steps + saturation).clip(0, 255), (steps + value).clip(0, 255)], 1)
    moved = cv2.LUT(cv2.cvtColor(image, cv2.COLOR_BGR2HSV), table.astype(np.uint8)[None])
    return np.asarray(cv2.cvtColor(moved, cv2.COLOR_HSV2BGR), np.uint8)


@final
@dataclass(frozen=True)
class Shifted(Sketch):
    of: Sketch
    steps: tuple[int, int, int]  # hue, saturation, value

    @classmethod
    def drawn(cls, those: Sequence[Self], stored: Sequence[Tensor]) -> Sequence[Tensor]:
        images = _stacked(draw([s.of for s in those], stored)).float()
        steps = torch.tensor([s.steps for s in those], dtype=torch.float32).to(images.device, non_blocking=True)
        before, step = _hsv(images), steps[..., None, None].unbind(1)  # each (n, 1, 1)
        hue, saturation, value = (old + new for old, new in zip(before, step, strict=True))
        return _bgr(hue % 180, saturation.clamp(0, 255), value.clamp(0, 255)).to(torch.uint8).unbind()


def _hsv(images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """BGR (n, H, W, 3) to hue in -30..150, saturation and value in 0..255, all whole numbers.

    As OpenCV has it for 8 bits: quotients from tables in 1 / 4096. All of it is exact in float32.
    """
    b, g, r = images.unbind(-1)
    value = images.amax(-1)
    spread = value - images.amin(-1)
    sector = torch.where(value == r, g - b, torch.where(value == g, b - r + 2 * spread, r - g + 4 * spread))
    per_spread, per_value = ((side * 4096 / of.clamp(min=1)).round() for side, of in ((30, spread), (255, value)))
    return (sector * per_spread / 4096 + 0.5).floor(), (spread * per_value / 4096 + 0.5).floor(), value


def _bgr(hue: Tensor, saturation: Tensor, value: Tensor) -> Tensor:
    """The way back, (n, H, W, 3); OpenCV rounds down here."""
    k = (hue[..., None] / 30 + torch.tensor([1.0, 3.0, 5.0]).to(hue.device, non_blocking=True)) % 6
    share = torch.minimum(k, 4 - k).clamp(0, 1)
    return (value[..., None] * (1 - saturation[..., None] / 255 * share)).floor()


# Mirror


def mirrored_pixels(image: ImageOrSketch) -> ImageOrSketch:
    """Left and right exchanged."""
    if isinstance(image, Sketch):
        return Mirrored(image.size, image)
    return np.asarray(cv2.flip(image, 1), np.uint8)


@final
@dataclass(frozen=True)
class Mirrored(Sketch):
    of: Sketch

    @classmethod
    def drawn(cls, those: Sequence[Self], stored: Sequence[Tensor]) -> Sequence[Tensor]:
        return _stacked(draw([s.of for s in those], stored)).flip(2).unbind()


# Between images and batches


def _stacked(images: Sequence[Tensor]) -> Tensor:
    """(n, H, W, 3), where sizes differ with grey at the bottom and the right."""
    if len({image.shape for image in images}) == 1:
        return torch.stack(list(images))
    high, wide = (max(image.shape[side] for image in images) for side in (0, 1))
    canvas = images[0].new_full((len(images), high, wide, 3), PAD)
    for place, image in zip(canvas, images, strict=True):
        _paste(place, image, 0, 0)
    return canvas


def _planes(images: Tensor) -> Tensor:
    """(n, H, W, 3) uint8 to (n, 3, H, W) float32."""
    return images.permute(0, 3, 1, 2).float()


def _pixels(planes: Tensor) -> Tensor:
    """The way back, rounded."""
    return planes.round().to(torch.uint8).permute(0, 2, 3, 1)
