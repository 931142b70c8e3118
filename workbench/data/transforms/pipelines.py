"""Carries out augmentations: draws what is random from the generator it is given, and does it to a sample.

A pipeline is called as `pipeline(dataset, index, rng) -> Sample`. Which steps there are, and their bounds, is in
`workbench.core.augmentation`; what a step does once its numbers are drawn is in `geometry` and `pixels`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import singledispatch
from typing import NamedTuple, final

import numpy as np

from workbench.core.augmentation import AugmentationStep, Fit, Flip, Hsv, MixUp, Mosaic, Warp
from workbench.core.errors import Refused
from workbench.data.transforms import geometry, pixels
from workbench.data.transforms.pixels import Size
from workbench.tensors import Sample


class StepInputs(NamedTuple):
    """What a step may use besides its own bounds and the sample.

    Fields:
        dataset: the samples from which it may draw others.
        size: height and width of the network input.
        rng: the random numbers of this sample; no others may be used.
    """

    dataset: Sequence[Sample]
    size: Size
    rng: np.random.Generator


@singledispatch
def augmented(step: AugmentationStep, sample: Sample, given: StepInputs) -> Sample:
    """The sample after one step; the given one stays as it is. A new kind of step registers its function here.

    Raises:
        Refused: nobody has said what a step of this kind does.
    """
    raise Refused(f"{type(step).__name__}: nothing says what this step does; register a function with `augmented`")


@augmented.register
def _(step: Mosaic, sample: Sample, given: StepInputs) -> Sample:
    others = [given.dataset[int(i)] for i in given.rng.integers(len(given.dataset), size=3)]
    x, y = given.rng.uniform(*step.center, size=2)
    return geometry.mosaic([sample, *others], given.size, (x, y))


@augmented.register
def _(step: Warp, sample: Sample, given: StepInputs) -> Sample:
    rng = given.rng
    dx, dy = rng.uniform(-step.shift, step.shift, 2)
    scale, degrees = rng.uniform(*step.scale), rng.uniform(-step.rotate, step.rotate)
    sx, sy = rng.uniform(-step.shear, step.shear, 2)
    matrix = geometry.warp_matrix(given.size, (dx, dy), scale, degrees, (sx, sy))
    return geometry.warp(sample, matrix, given.size)


@augmented.register
def _(step: Fit, sample: Sample, given: StepInputs) -> Sample:
    dx, dy, zoom, turn = normal_within_one(given.rng, 4)
    low, high = step.scale
    height, width = sample.image.shape[:2]
    offset, scale = (dx * step.shift, dy * step.shift), (low + high) / 2 + zoom * (high - low) / 2
    matrix = geometry.fit_matrix(width, height, given.size, offset, scale, turn * step.rotate)
    return geometry.warp(sample, matrix, given.size)


@augmented.register
def _(step: MixUp, sample: Sample, given: StepInputs) -> Sample:
    rng = given.rng
    other = given.dataset[int(rng.integers(len(given.dataset)))]
    if not len(other):
        return sample
    jitter, flip = rng.uniform(*step.scale), bool(rng.random() < step.flip)
    rows, columns = geometry.mixup_room((sample.image.shape[0], sample.image.shape[1]), jitter)
    top, left = (int(rng.integers(room + 1)) for room in (rows, columns))
    return geometry.mixup(sample, other, jitter, flip, top, left)


@augmented.register
def _(step: Hsv, sample: Sample, given: StepInputs) -> Sample:
    bounds = np.array([step.hue, step.saturation, step.value])
    moves = (given.rng.uniform(-1, 1, 3) * bounds * given.rng.integers(2, size=3)).astype(int)  # towards 0
    if not moves.any():
        return sample
    return replace(sample, image=pixels.shifted(sample.image, *moves.tolist()))


@augmented.register
def _(step: Flip, sample: Sample, given: StepInputs) -> Sample:
    return geometry.mirrored(sample) if given.rng.random() < step.probability else sample


@final
@dataclass(frozen=True, kw_only=True)
class Pipeline:
    """The steps of training, in order, and of the persons those that remain.

    With `ignore` the mask of persons that are not labelled goes along, else it is dropped. An image that the first
    step does not take as it is, is fitted whole before.

    Raises:
        Refused: a size that is no multiple of 32.
    """

    size: Size = (640, 640)
    steps: tuple[AugmentationStep, ...] = ()
    ignore: bool = False

    def __post_init__(self) -> None:
        if any(side < 1 or side % 32 for side in self.size):
            raise Refused(f"size {self.size}: expected height and width in multiples of 32, for example (640, 640)")

    def __call__(self, dataset: Sequence[Sample], index: int, rng: np.random.Generator) -> Sample:
        sample = dataset[index]
        if not self.ignore:
            sample = replace(sample, ignore=None)
        if not (self.steps and self.steps[0].any_size):
            sample = geometry.whole(sample, self.size)
        for step in self.steps:
            sample = augmented(step, sample, StepInputs(dataset, self.size, rng))
        return geometry.kept(sample)


@final
@dataclass(frozen=True, kw_only=True)
class EvaluationPipeline:
    """The pipeline of evaluation: the whole image centred on grey, all persons kept. Nothing is random."""

    size: Size = (640, 640)

    def __call__(self, dataset: Sequence[Sample], index: int, rng: np.random.Generator) -> Sample:
        return geometry.whole(dataset[index], self.size)


def normal_within_one(rng: np.random.Generator, count: int) -> list[float]:
    """Standard normal numbers, each drawn again until it lies in -1..1."""
    drawn: list[float] = []
    while len(drawn) < count:
        drawn += [float(z) for z in rng.standard_normal(count) if abs(z) <= 1]
    return drawn[:count]
