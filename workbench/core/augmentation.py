"""Augmentation as a value: which steps, between which bounds. What a step does is in `workbench.data.transforms`.

The defaults are those of the released RTMO models (arXiv 2312.07526). A step of one's own is a class in one file,
beside the function that carries it out (`workbench.data.transforms.pipelines.augmented`).
"""

from __future__ import annotations

from abc import ABC
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal, final

from workbench.core.errors import Refused
from workbench.core.spec import Spec

Bounds = tuple[float, float]
AugmentationName = Literal["none", "light", "rtmo", "rtmo-t", "rtmo-ml", "crowdpose"]


def _check_bounds(name: str, bounds: Bounds, least: float) -> None:
    if not least <= bounds[0] <= bounds[1]:
        raise Refused(f"{name} {bounds}: expected a lower and an upper bound of at least {least}")


def _check_share(name: str, share: float) -> None:
    if not 0 <= share <= 1:
        raise Refused(f"{name} {share}: expected a number in 0..1")


@dataclass(frozen=True, kw_only=True)
class AugmentationStep(Spec, ABC):
    """One step of an augmentation. `any_size`: it takes an image of any size, others take the network's input size."""

    any_size: ClassVar[bool] = False


@final
@dataclass(frozen=True, kw_only=True)
class Mosaic(AugmentationStep):
    """Four images about a point: this one and three drawn from the data set, on a canvas of twice the input size."""

    any_size: ClassVar[bool] = True
    center: Bounds = (0.5, 1.5)  # of the point, in shares of the input size

    def check(self) -> None:
        _check_bounds("center", self.center, 0.0)


@final
@dataclass(frozen=True, kw_only=True)
class Warp(AugmentationStep):
    """Zoom, turn, shear and shift, all uniform. `scale` below 1 makes persons smaller. After a mosaic it crops."""

    shift: float = 0.1  # share of the input size
    scale: Bounds = (0.75, 1.0)
    rotate: float = 10.0  # degrees either way
    shear: float = 2.0  # degrees either way

    def check(self) -> None:
        _check_bounds("scale", self.scale, 1e-3)


@final
@dataclass(frozen=True, kw_only=True)
class Fit(AugmentationStep):
    """The whole image on the canvas, then shifted, scaled and turned by normal numbers cut at one deviation.

    `scale` above 1 makes persons smaller, opposite to `Warp`.
    """

    any_size: ClassVar[bool] = True
    shift: float = 0.2  # share of the image
    scale: Bounds = (0.75, 1.5)
    rotate: float = 30.0  # degrees either way

    def check(self) -> None:
        _check_bounds("scale", self.scale, 1e-3)


@final
@dataclass(frozen=True, kw_only=True)
class MixUp(AugmentationStep):
    """Half this image, half a window of another one, resized and perhaps mirrored. Without persons in it, nothing."""

    scale: Bounds = (0.8, 1.6)
    flip: float = 0.5  # how often

    def check(self) -> None:
        _check_bounds("scale", self.scale, 1e-3)
        _check_share("flip", self.flip)


@final
@dataclass(frozen=True, kw_only=True)
class Hsv(AugmentationStep):
    """Hue, saturation and value each moved, one time in two, by up to so many steps."""

    hue: int = 5
    saturation: int = 30
    value: int = 30


@final
@dataclass(frozen=True, kw_only=True)
class Flip(AugmentationStep):
    """Left and right exchanged, in the image and in the names of the key points."""

    probability: float = 0.5

    def check(self) -> None:
        _check_share("probability", self.probability)


_UNMOVED = Fit(shift=0.0, scale=(1.0, 1.0), rotate=0.0)  # it only fits, and draws as many numbers as one that moves
_LIGHT = (Fit(shift=0.05, scale=(0.85, 1.2), rotate=10.0), Hsv())


@final
@dataclass(frozen=True, kw_only=True)
class Augmentation(Spec):
    """What is done to the training images. An image that the first step does not take as it is, is fitted whole before.

    Fields:
        main, final: the steps of the main phases and of the final ones, in order.
        ignore: final steps keep the mask of persons that are not labelled.

    Raises:
        Refused: a mosaic that no warp crops to the input size.
    """

    main: tuple[AugmentationStep, ...] = (Mosaic(), Warp(), MixUp(), Hsv(), Flip())
    final: tuple[AugmentationStep, ...] = (_UNMOVED, Hsv(), Flip())
    ignore: bool = True

    def check(self) -> None:
        for steps in (self.main, self.final):
            for place, step in enumerate(steps, start=1):
                if isinstance(step, Mosaic) and not isinstance([*steps, None][place], Warp):
                    raise Refused("a Mosaic has twice the input size: put a Warp after it, or take it out")


# The light one does not mirror: on easy scenes the colours tell left from right, a mirrored image would contradict.
AUGMENTATIONS: Mapping[str, Augmentation] = {
    "none": Augmentation(main=(), final=(), ignore=False),
    "light": Augmentation(main=_LIGHT, final=_LIGHT, ignore=False),
    "rtmo": Augmentation(),
    "rtmo-t": Augmentation(main=(Mosaic(), Warp(), Hsv(), Flip())),
    "rtmo-ml": Augmentation(final=(Fit(), Hsv(), Flip())),
    "crowdpose": Augmentation(
        main=(
            Mosaic(),
            Warp(shift=0.2, scale=(0.5, 1.5), rotate=30.0),
            MixUp(scale=(0.6, 1.6)),
            Hsv(),
            Flip(),
        )
    ),
}


def augmentation(given: AugmentationName | Augmentation) -> Augmentation:
    """The augmentation that a name stands for, or the given one."""
    return AUGMENTATIONS[given] if isinstance(given, str) else given


def shortest(given: AugmentationName | Augmentation) -> AugmentationName | Augmentation:
    """The name of an augmentation that has one, so that equal ones are one value; else itself."""
    return next((name for name, one in AUGMENTATIONS.items() if one == given), given)  # pyright: ignore[reportReturnType]
