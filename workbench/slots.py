"""The places that a component can fill, six of a pose estimator and the segments of its learning-rate schedule:
abstract specs with one method each.

A component is a final spec and, in most slots, the module that its method builds. It learns of its neighbours only
through `Levels` and the records of `tensors.py`. Bad values are refused with `Refused`, which this file hands on.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from workbench.core.augmentation import AugmentationStep as AugmentationStep
from workbench.core.errors import Refused as Refused
from workbench.core.spec import Spec
from workbench.tensors import Assignment, Cells, Coordinates, Dense, Levels, Targets


class Pyramid(nn.Module):
    """A module that gives feature maps, fine to coarse; `levels` describes them."""

    levels: Levels

    def lean(self) -> Pyramid:
        """A form for use only, which answers the same up to rounding. Called on a copy whose norms are folded."""
        return self


class Backbone(Spec, ABC):
    """Image to feature maps at strides 8, 16 and 32."""

    @abstractmethod
    def build(self) -> Pyramid:
        """A module: (B, 3, H, W) BGR 0..255 -> list of (B, C_i, H / s_i, W / s_i)."""


class Neck(Spec, ABC):
    """Feature maps to feature maps.

    `slow` names the children of its module whose learning rate is multiplied by the recipe's `encoder_lr_scale`.
    """

    slow: ClassVar[tuple[str, ...]] = ()

    @abstractmethod
    def build(self, levels: Levels) -> Pyramid:
        """A module: list of maps as `levels` says -> list of maps as its own `levels` says."""


@dataclass(slots=True, kw_only=True)
class Towers:
    """What the head's shared convolutions say of every cell, before the last 1x1 layers. Plain tensors: cacheable."""

    cls: list[Tensor]  # per level (B, C_cls, H, W)
    pose: list[Tensor]  # per level (B, C_pose, H, W)

    def to(self, *args: Any, **kwargs: Any) -> Towers:
        """As `Tensor.to`, of every map."""
        return Towers(cls=[t.to(*args, **kwargs) for t in self.cls], pose=[t.to(*args, **kwargs) for t in self.pose])


@dataclass(slots=True, kw_only=True)
class Outputs:
    """The head's raw answers, cells of all levels flattened row-major, levels fine to coarse."""

    cls: Tensor  # (B, N, C) logits
    box: Tensor  # (B, N, 4)
    proxy: Tensor | None  # (B, N, K * 2), x0 y0 x1 y1 ..., in strides from the cell centre
    vis: Tensor  # (B, N, K) logits
    pose: Tensor  # (B, N, D)


class DenseHead(nn.Module):
    """A module in two halves, so that a frozen trunk can end between them."""

    strides: tuple[int, ...]
    pose_channels: int  # D

    def towers(self, feats: list[Tensor]) -> Towers:
        """The shared convolutions."""
        raise NotImplementedError

    def read(self, towers: Towers, proxy: bool) -> Outputs:
        """The last 1x1 layers; the regression branch only where `proxy`."""
        raise NotImplementedError

    def forward(self, feats: list[Tensor], proxy: bool) -> Outputs:
        return self.read(self.towers(feats), proxy)


class Head(Spec, ABC):
    """Feature maps to scores, boxes, visibilities, regressed key points and pose vectors of every cell.

    `probed` names the children of its module that are trained anew on a frozen trunk; all others stay as they are.
    """

    probed: ClassVar[tuple[str, ...]] = ()

    @abstractmethod
    def build(self, levels: Levels, classes: int, keypoints: int) -> DenseHead:
        """A module as described by `DenseHead`."""


class CoordinateStage(nn.Module):
    """Pose vectors of few cells to key points.

    `apart` are the modules whose gradients reach nothing else: they are clipped alone.
    """

    @property
    def apart(self) -> Sequence[nn.Module]:
        return ()

    def forward(self, cells: Cells) -> Coordinates:
        """Everything the losses may ask for. P may be 0 or 1."""
        raise NotImplementedError

    def decode(self, cells: Cells) -> Tensor:
        """Key points only, (P, K, 2), by the cheapest exact way. Module in eval mode."""
        return self.forward(cells).keypoints


class Coords(Spec, ABC):
    """How key points come from a cell.

    `offers` says what its `Coordinates` hold: "sigma", "axes" (x and y heatmaps), "grid" (a 2-D heatmap) and
    "teacher" (key points that are not the regression branch's own, so they can teach it).
    `reads_proxy` is true where the stage needs the head's regression branch also at inference.
    `without_effect_on_frozen_trunk` names the fields that say what the stage's gradient reaches outside of it.
    """

    offers: ClassVar[frozenset[str]] = frozenset()
    reads_proxy: ClassVar[bool] = False
    without_effect_on_frozen_trunk: ClassVar[tuple[str, ...]] = ()

    @abstractmethod
    def build(self, pose_channels: int, keypoints: int) -> CoordinateStage:
        """A module as described by `CoordinateStage`."""

    def published_extra(self, keypoints: int) -> int:
        """Multiply-adds per person that the published order of computation takes more than `decode` does."""
        return 0


class Assigner(Spec, ABC):
    """Which cells learn which persons.

    `without_effect_on_frozen_trunk` names the fields that shape the class target alone: where scores are frozen, a row
    that changes nothing else trains the same.
    """

    without_effect_on_frozen_trunk: ClassVar[tuple[str, ...]] = ()

    @abstractmethod
    def assign(self, dense: Dense, targets: Targets, sigmas: Tensor) -> Assignment:
        """The positives of a batch; `sigmas` (K,) are the constants of OKS. Called without gradients."""


class Matched:
    """Positives and their persons: what losses read. Made by the criterion, stated here because losses depend on it.

    Attributes:
        dense: everything of every cell; cells: the P positive cells.
        coords: `Coordinates` of the positives, computed when first read.
        gt_boxes (P, 4), gt_keypoints (P, K, 2), visible (P, K), areas (P,), keypoint_weights (P, K).
        box_raw (P, 4), vis (P, K) logits.
        proxy_target (P, K, 2), proxy_weight (P, K): what the regression branch learns in this phase.
        cls_target (B, N, C), cls_weight (B, N, 1).
        positives: number of positives for normalisation, at least 1 in all ranks together, mean over ranks, a 0-d
            tensor.
        labelled: their visible key points, likewise.
        sigmas (K,).

    Where several ranks share a batch, the total is the mean of theirs. A loss is then that of the whole batch if it
    divides a sum by `positives` or `labelled`, or multiplies a mean over its own positives by `share`.
    """

    dense: Dense
    cells: Cells
    coords: Coordinates
    gt_boxes: Tensor
    gt_keypoints: Tensor
    visible: Tensor
    areas: Tensor
    keypoint_weights: Tensor
    box_raw: Tensor
    vis: Tensor
    proxy_target: Tensor
    proxy_weight: Tensor
    cls_target: Tensor
    cls_weight: Tensor
    positives: Tensor
    labelled: Tensor
    sigmas: Tensor

    @property
    def share(self) -> Tensor:
        """Positives here for each of `positives`: exactly 1 where one rank has the whole batch."""
        # a number over a tensor would be its reciprocal, times the number: of 41, 0.99999994
        return self.positives.new_tensor(float(len(self.gt_boxes))) / self.positives


@dataclass(frozen=True, kw_only=True)
class Loss(Spec, ABC):
    """One term of the total. `weights` has one factor per phase; a term of weight 0 is not computed.

    `term` is its published name, `needs` what the coordinate stage must offer.
    """

    term: ClassVar[str]
    needs: ClassVar[frozenset[str]] = frozenset()

    weights: tuple[float, ...] = field(default=(1.0, 1.0, 1.0))

    def __post_init__(self) -> None:
        super().__post_init__()
        if any(weight < 0 for weight in self.weights):
            raise Refused(f"{type(self).__name__}.weights {self.weights}: must be 0 or more; 0 switches the term off")

    @abstractmethod
    def __call__(self, matched: Matched) -> Tensor:
        """The term without its phase weight, a 0-d tensor with a gradient path also for P = 0."""


def no_term(*reads: Tensor) -> Tensor:
    """A zero that still depends on `reads`, so that no parameter is left without a gradient when nothing matched."""
    return torch.stack([r.float().sum() * 0 for r in reads]).sum()


class Segment(Spec, ABC):
    """One part of a learning-rate schedule. Fractions in its fields are of the whole training."""

    @abstractmethod
    def rate(self, value: float, base: float, step: int, total: int) -> float:
        """The rate at `step` (from 0) of `total`.

        Args:
            value: what the segments before this one give, `base` for the first one.
            base: the rate that the parameter group starts from.
        """


def steps_of(fraction: float, total: int) -> int:
    """How many of `total` steps a fraction of training is."""
    return round(fraction * total)
