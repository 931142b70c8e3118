"""The records that pass between the parts; the one place where shapes are named.

Legend: B images of a batch, N cells of all levels, K key points, G persons of an image (padded to the largest
image of a batch), P matched or kept cells, C classes, D pose channels, W bins of an axis.
Lengths are pixels of the network input, boxes are x1, y1, x2, y2, key points are x, y.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from workbench.core.keypoints import Skeleton

Array = NDArray[np.float32]
Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]


class Level(NamedTuple):
    """What one part tells the next of a feature map: its channels and its stride in input pixels."""

    channels: int
    stride: int


Levels = tuple[Level, ...]


@dataclass(slots=True, kw_only=True)
class Persons:
    """The labelled persons of an image, one row each. A new field of theirs is one line here and one in `Targets`."""

    boxes: Array  # (G, 4)
    keypoints: Array  # (G, K, 2)
    visible: Array  # (G, K): 2 visible, 1 occluded, 0 not labelled or outside; augmentations keep the value or set 0
    areas: Array  # (G,), square pixels
    labels: NDArray[np.int64]  # (G,), class index from 0
    # (G, K): 0 where the source data set does not have this key point, else 1; the visibility loss leaves out the
    # former. All are 1 until data sets with different key points are trained on together.
    keypoint_weights: Array

    def __len__(self) -> int:
        return len(self.boxes)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Every field by its name."""
        return {f.name: getattr(self, f.name) for f in fields(self)}

    def take(self, rows: NDArray[Any] | Sequence[int] | slice) -> Self:
        """Those persons at `rows`, which may be a mask (G,)."""
        return replace(self, **{name: array[rows] for name, array in self.arrays().items()})

    @classmethod
    def concatenated(cls, parts: Sequence[Self]) -> Self:
        """The persons of all parts, in order."""
        return cls(**{f.name: np.concatenate([getattr(part, f.name) for part in parts]) for f in fields(cls)})


@dataclass(slots=True, kw_only=True)
class Sample:
    """One image and its persons, as a data set gives it and the augmentations change it."""

    image: Any  # (H, W, 3) uint8, BGR; or a `data.transforms.pixels.Sketch` of that
    persons: Persons
    skeleton: Skeleton  # what the K key points are
    ignore: NDArray[np.uint8] | None = None  # (H, W): 1 where persons are not labelled; None is nowhere
    image_id: int = 0
    crowd_index: float = 0.0

    def __len__(self) -> int:
        return len(self.persons)


@dataclass(slots=True, kw_only=True)
class Targets:
    """The persons of a batch, padded to G per image; `present` tells persons from padding."""

    boxes: Tensor  # (B, G, 4)
    keypoints: Tensor  # (B, G, K, 2)
    visible: Tensor  # (B, G, K), 0 or 1
    areas: Tensor  # (B, G)
    labels: Tensor  # (B, G), int64
    keypoint_weights: Tensor  # (B, G, K)
    present: Tensor  # (B, G), bool
    ignore: Tensor | None = None  # (B, H, W) in 0..1: where an unlabelled person may be

    def to(self, device: str, non_blocking: bool = True) -> Targets:
        return self._each(lambda tensor: tensor.to(device, non_blocking=non_blocking))

    def pin_memory(self) -> Targets:
        return self._each(lambda tensor: tensor.pin_memory())

    def _each(self, change: Callable[[Tensor], Tensor]) -> Targets:
        there = {f.name: getattr(self, f.name) for f in fields(self)}
        return replace(self, **{name: value if value is None else change(value) for name, value in there.items()})


@dataclass(slots=True, kw_only=True)
class Batch:
    """Images and targets of one step. With a frozen trunk `images` holds its cached features instead."""

    images: Any  # (B, 3, H, W) float32, BGR, 0..255; or `slots.Towers`
    targets: Targets
    image_ids: tuple[int, ...]
    black: bool = False  # all images are 0 all over, as whoever loaded them saw; nobody looks at sketches

    def pin_memory(self) -> Batch:
        """The same in memory that a GPU reads while the host goes on; sketches stay where they are."""
        images = self.images if isinstance(self.images, list) else self.images.pin_memory()
        return replace(self, images=images, targets=self.targets.pin_memory())

    def to(self, device: str) -> Batch:
        images = self.images.to(device, non_blocking=True)
        return replace(self, images=images, targets=self.targets.to(device))


@dataclass(slots=True, kw_only=True)
class Dense:
    """What the network says of every cell. Cells are row-major per level, levels from fine to coarse."""

    cls: Tensor  # (B, N, C) logits
    box_raw: Tensor  # (B, N, 4): dx, dy, log w, log h in strides
    boxes: Tensor  # (B, N, 4) decoded
    proxy: Tensor | None  # (B, N, K, 2) key points of the regression branch; None where it is not computed
    vis: Tensor  # (B, N, K) logits
    pose: Tensor  # (B, N, D)
    points: Tensor  # (N, 2) cell centres
    strides: Tensor  # (N,)
    canvas: tuple[int, int]  # height, width of the network input


@dataclass(slots=True, kw_only=True)
class Cells:
    """The cells for which key points are wanted: positives in training, survivors of NMS in use."""

    pose: Tensor  # (P, D)
    boxes: Tensor  # (P, 4)
    points: Tensor  # (P, 2)
    strides: Tensor  # (P,)
    proxy: Tensor | None  # (P, K, 2)
    canvas: tuple[int, int]  # height, width

    def __len__(self) -> int:
        return len(self.pose)


@dataclass(slots=True, kw_only=True)
class Axis:
    """A 1-D heatmap per key point along one image axis."""

    logits: Tensor  # (P, K, W)
    prob: Tensor  # (P, K, W)
    bins: Tensor  # (P, W) positions


@dataclass(slots=True, kw_only=True)
class Coordinates:
    """Key points of P cells and, where the stage has them, the distributions behind them."""

    keypoints: Tensor  # (P, K, 2)
    sigma: Tensor | None = None  # (P, K) uncertainty relative to the root of the area
    x: Axis | None = None
    y: Axis | None = None
    grid: Axis | None = None  # a joint 2-D heatmap: W = h * w positions, bins (P, W, 2)
    probes: tuple[Coordinates, ...] = ()  # of stages that learn beside this one


@dataclass(slots=True, kw_only=True)
class Assignment:
    """Which cell learns which person. Positives are in ascending order of image, then cell."""

    image: Tensor  # (P,) image index
    cell: Tensor  # (P,) cell index in its image
    person: Tensor  # (P,) person index in its image
    overlaps: Tensor  # (P,) OKS (or IoU, as the assigner is set) of the cell's prediction with its person


@dataclass(slots=True, kw_only=True)
class Detections:
    """The persons found in one image, by descending score."""

    boxes: Array  # (P, 4)
    scores: Array  # (P,)
    labels: NDArray[np.int64]  # (P,)
    keypoints: Array  # (P, K, 2)
    keypoint_scores: Array  # (P, K)
    image_id: int = 0

    def __len__(self) -> int:
        return len(self.boxes)
