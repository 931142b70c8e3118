"""The augmentation pipelines as data: which steps, between which bounds; each draws from the generator it is given.

A pipeline is called as `pipeline(dataset, index, rng) -> Sample`. What is drawn is here, what is done with it in
`geometry`. Defaults are those of the released RTMO models (arXiv 2312.07526, section 9 of the specification).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import final

import numpy as np

from workbench.core.errors import Refused
from workbench.data.transforms import geometry, pixels
from workbench.tensors import Sample

Range = tuple[float, float]
Size = tuple[int, int]  # height, width


@final
@dataclass(frozen=True, kw_only=True)
class Mosaic:
    """Four images about a point: this one and three drawn from the data set. `center` in shares of the size."""

    center: Range = (0.5, 1.5)

    def __call__(self, first: Sample, dataset: Sequence[Sample], size: Size, rng: np.random.Generator) -> Sample:
        others = [dataset[int(i)] for i in rng.integers(len(dataset), size=3)]
        x, y = rng.uniform(*self.center, size=2)
        return geometry.mosaic([first, *others], size, (x, y))


@final
@dataclass(frozen=True, kw_only=True)
class Warp:
    """Zoom, turn, shear and shift, all uniform. `scale` below 1 makes persons smaller."""

    shift: float = 0.1  # share of the size
    scale: Range = (0.75, 1.0)
    rotate: float = 10.0  # degrees either way
    shear: float = 2.0  # degrees either way

    def __call__(self, sample: Sample, size: Size, rng: np.random.Generator) -> Sample:
        dx, dy = rng.uniform(-self.shift, self.shift, 2)
        scale, degrees = rng.uniform(*self.scale), rng.uniform(-self.rotate, self.rotate)
        sx, sy = rng.uniform(-self.shear, self.shear, 2)
        return geometry.warp(sample, geometry.warp_matrix(size, (dx, dy), scale, degrees, (sx, sy)), size)


@final
@dataclass(frozen=True, kw_only=True)
class Fit:
    """The whole image on the canvas, then shifted, scaled and turned by normal numbers cut at one deviation.

    `scale` above 1 makes persons smaller, opposite to `Warp`. `still()` only fits.
    """

    shift: float = 0.2  # share of the image
    scale: Range = (0.75, 1.5)
    rotate: float = 30.0  # degrees either way

    def __call__(self, sample: Sample, size: Size, rng: np.random.Generator) -> Sample:
        dx, dy, zoom, turn = _within_one(rng, 4)
        low, high = self.scale
        height, width = sample.image.shape[:2]
        offset, scale = (dx * self.shift, dy * self.shift), (low + high) / 2 + zoom * (high - low) / 2
        return geometry.warp(sample, geometry.fit_matrix(width, height, size, offset, scale, turn * self.rotate), size)


@final
@dataclass(frozen=True, kw_only=True)
class MixUp:
    """Half this image, half a window of another one, resized and perhaps mirrored. Without persons in it, nothing."""

    scale: Range = (0.8, 1.6)
    flip: float = 0.5

    def __call__(self, sample: Sample, dataset: Sequence[Sample], rng: np.random.Generator) -> Sample:
        other = dataset[int(rng.integers(len(dataset)))]
        if not len(other):
            return sample
        jitter, flip = rng.uniform(*self.scale), bool(rng.random() < self.flip)
        rows, columns = geometry.mixup_room((sample.image.shape[0], sample.image.shape[1]), jitter)
        top, left = (int(rng.integers(room + 1)) for room in (rows, columns))
        return geometry.mixup(sample, other, jitter, flip, top, left)


@final
@dataclass(frozen=True, kw_only=True)
class Hsv:
    """Hue, saturation and value each moved, one time in two, by up to so many steps."""

    hue: int = 5
    saturation: int = 30
    value: int = 30

    def __call__(self, sample: Sample, rng: np.random.Generator) -> Sample:
        bounds = np.array([self.hue, self.saturation, self.value])
        steps = (rng.uniform(-1, 1, 3) * bounds * rng.integers(2, size=3)).astype(int)  # towards 0
        if not steps.any():
            return sample
        return replace(sample, image=pixels.shifted(sample.image, *steps.tolist()))


@final
@dataclass(frozen=True, kw_only=True)
class Augment:
    """A training pipeline: mosaic and warp, or fit; mix-up; colours; mirror; persons that remain.

    Exactly one of `warp` and `fit` brings images to `size`; `mosaic` goes with `warp`. With `ignore` the mask of
    persons that are not labelled goes along, else it is dropped.

    Raises:
        Refused: a size that is no multiple of 32, or a combination that does not end at `size`.
    """

    size: Size = (640, 640)
    mosaic: Mosaic | None = Mosaic()
    warp: Warp | None = Warp()
    fit: Fit | None = None
    mixup: MixUp | None = MixUp()
    hsv: Hsv | None = Hsv()
    flip: float = 0.5
    ignore: bool = False

    def __post_init__(self) -> None:
        if any(side < 1 or side % 32 for side in self.size):
            raise Refused(f"size {self.size}: expected height and width in multiples of 32, for example (640, 640)")
        if (self.warp is None) == (self.fit is None) or (self.mosaic is None) == (self.warp is not None):
            raise Refused("an augmentation needs mosaic and warp together, or fit alone; set the others to None")

    def __call__(self, dataset: Sequence[Sample], index: int, rng: np.random.Generator) -> Sample:
        sample = dataset[index]
        if not self.ignore:
            sample = replace(sample, ignore=None)
        if self.mosaic and self.warp:
            sample = self.warp(self.mosaic(sample, dataset, self.size, rng), self.size, rng)
        if self.fit:
            sample = self.fit(sample, self.size, rng)
        if self.mixup:
            sample = self.mixup(sample, dataset, rng)
        if self.hsv:
            sample = self.hsv(sample, rng)
        if rng.random() < self.flip:
            sample = geometry.mirrored(sample)
        return geometry.kept(sample)


@final
@dataclass(frozen=True, kw_only=True)
class Letterbox:
    """The pipeline of evaluation: the whole image centred on grey, all persons kept. Nothing is random."""

    size: Size = (640, 640)

    def __call__(self, dataset: Sequence[Sample], index: int, rng: np.random.Generator) -> Sample:
        sample = dataset[index]
        height, width = sample.image.shape[:2]
        return geometry.warp(sample, geometry.fit_matrix(width, height, self.size, (0.0, 0.0), 1.0, 0.0), self.size)


def unmoved() -> Fit:
    """A fit that moves nothing."""
    return Fit(shift=0.0, scale=(1.0, 1.0), rotate=0.0)


def coco_main(size: Size = (640, 640), mixup: bool = True) -> Augment:
    """Stages 1 and 2 on COCO and body7: s, m, l; t without mix-up."""
    return Augment(size=size, mixup=MixUp() if mixup else None)


def crowdpose_main(size: Size = (640, 640)) -> Augment:
    """Stages 1 and 2 on CrowdPose."""
    warp = Warp(shift=0.2, scale=(0.5, 1.5), rotate=30.0)
    return Augment(size=size, warp=warp, mixup=MixUp(scale=(0.6, 1.6)))


def coco_final(size: Size = (640, 640), moves: bool = False) -> Augment:
    """Stage 3, weak, with the ignore mask; it `moves` for m and l on COCO and body7, and only fits for t and s."""
    return Augment(size=size, mosaic=None, warp=None, fit=Fit() if moves else unmoved(), mixup=None, ignore=True)


def crowdpose_final(size: Size = (640, 640)) -> Augment:
    """Stage 3 on CrowdPose: it only fits, for every model."""
    return coco_final(size, moves=False)


def light(size: Size, flip: float = 0.0) -> Augment:
    """For the embedded scenes: colours and a small move. No mirror unless asked: on easy scenes the colours tell left
    from right, and a mirrored picture would teach the opposite."""
    fit = Fit(shift=0.05, scale=(0.85, 1.2), rotate=10.0)
    return Augment(size=size, mosaic=None, warp=None, fit=fit, mixup=None, flip=flip)


def _within_one(rng: np.random.Generator, count: int) -> list[float]:
    """Standard normal numbers, each drawn again until it lies in -1..1."""
    drawn: list[float] = []
    while len(drawn) < count:
        drawn += [float(z) for z in rng.standard_normal(count) if abs(z) <= 1]
    return drawn[:count]
