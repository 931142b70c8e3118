"""The deployed form of a network: images in, persons out, as one module without anything that only training needs.

    deployed = Deployed(network, Selection(max_persons=20), torch.bfloat16)
    dets, keypoints = deployed(images)

Every batch norm is folded into the convolution or linear layer before it, the branches of a RepVGG block are one
convolution, and the pixel phases of a Focus stem are part of its convolution. What passes the score filter and NMS is
packed, so the coordinate stage runs for the persons of all images at once and for nothing else.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, Self, cast, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from workbench.components.blocks import ConvUnit, FocusStem, folded, fused
from workbench.components.similarity import box_iou
from workbench.core.errors import Refused
from workbench.models import decode
from workbench.models.network import Network, decoded
from workbench.slots import Outputs
from workbench.tensors import Dense, Detections

Precision = Literal["float32", "fp16", "int8"]  # of a deployed file
PRECISIONS: tuple[str, ...] = get_args(Precision)


@dataclass(frozen=True, kw_only=True)
class Selection:
    """Which cells are persons: score above a threshold, not hidden by a better box, and among the best of an image.

    Raises:
        Refused: a value out of range.
    """

    score_threshold: float = 0.1
    nms_threshold: float = 0.65  # of IoU; 1 keeps all
    max_persons: int = 100  # per image

    def __post_init__(self) -> None:
        if not 0 <= self.score_threshold < 1:
            raise Refused(f"score threshold {self.score_threshold}: expected a number in [0, 1)")
        if not 0 < self.nms_threshold <= 1:
            raise Refused(f"NMS threshold {self.nms_threshold}: expected a number in (0, 1]")
        if self.max_persons < 1:
            raise Refused(f"max persons {self.max_persons}: expected at least 1")


class Deployed(nn.Module):
    """A trained network for use only; `network` itself stays as it is.

    `dtype` is that of backbone, neck and the head's towers. The head's last layers, boxes, NMS and the coordinate stage
    stay in float32: there a rounded number is a moved key point.

    `fixed`: there are `max_persons` rows for each image, whoever is in it. This takes the time of so many persons; it
    is for programs that can not change a shape from image to image.

    Raises:
        Refused: the network has several classes, for which the outputs have no place.
    """

    def __init__(
        self,
        network: Network,
        selection: Selection = Selection(),
        dtype: torch.dtype = torch.float32,
        fixed: bool = False,
    ) -> None:
        super().__init__()
        if network.variant.num_classes > 1:
            raise Refused(f"deploy: {network.variant.num_classes} classes; expected 1, a person's row names no class")
        self.selection, self.dtype, self.fixed = selection, dtype, fixed
        self.trunk = lean(network)  # to the towers
        self.rest = copy.deepcopy(self.trunk)  # from there on
        del self.trunk.coords, self.rest.backbone, self.rest.neck
        self.trunk.to(dtype=dtype, memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
        self.requires_grad_(False).eval()
        self._answers: Callable[[Tensor], tuple[Tensor | None, ...]] = self._answered

    def compiled(self) -> Self:
        """Compiles `answers` at the first image of each new size, in a minute or more; needs a C++ compiler.

        `persons` stays as it is: its work changes with the number of persons.
        """
        self._answers = torch.compile(self._answered, dynamic=False, options={"freezing": True})
        return self

    @torch.no_grad()
    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Persons of a batch, in pixels of the images, by falling score.

        Args:
            images: (B, 3, H, W) float32, BGR, 0..255, sides multiples of 32.

        Returns:
            dets (B, N, 5): x1, y1, x2, y2, score, boxes cut at the border; keypoints (B, N, K, 3): x, y, visibility in
            0..1. N is the number of persons in the fullest image and at least 1, or `max_persons`; rows after the last
            person are 0.
        """
        return self.persons(self.answers(images), (images.shape[-2], images.shape[-1]))

    @torch.no_grad()
    def answers(self, images: Tensor) -> Outputs:
        """What takes the time, and the same time for every image of a size: what the network says of each cell."""
        cls, box, vis, pose, proxy = self._answers(images)
        assert cls is not None and box is not None and vis is not None and pose is not None
        return Outputs(cls=cls, box=box, proxy=proxy, vis=vis, pose=pose)

    def _answered(self, images: Tensor) -> tuple[Tensor | None, ...]:
        towers = self.trunk.towers(images.to(self.dtype, memory_format=torch.channels_last)).to(torch.float32)
        out = self.rest.head.read(towers, proxy=self.rest.variant.coords.reads_proxy)
        return out.cls, out.box, out.vis, out.pose, out.proxy

    @torch.no_grad()
    def persons(self, answers: Outputs, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
        """The rest, which takes longer the more persons there are. `size` (height, width); result as of `forward`."""
        dense, scores = self.scored(answers, size)
        chosen = self.selection
        limits = (chosen.score_threshold, chosen.nms_threshold, chosen.max_persons)
        if self.fixed:
            return self._in_seats(dense, scores, *exported_seats(dense.boxes, scores, *limits))
        image, cell = exported_survivors(dense.boxes, scores, *limits).unbind(1)
        place = _places(image, scores.shape[0])
        dets, keypoints = self.rows(dense, scores, image, cell)
        return place(dets), place(keypoints)

    def _in_seats(self, dense: Dense, scores: Tensor, cells: Tensor, persons: Tensor) -> tuple[Tensor, Tensor]:
        """Rows for the cells (B, M), the first `persons` (B,) of each image; zeros after them."""
        images, seats = cells.shape
        image = torch.arange(images, device=cells.device)[:, None].expand(images, seats)
        dets, keypoints = self.rows(dense, scores, image.flatten(), cells.flatten())
        taken = torch.arange(seats, device=cells.device) < persons[:, None]
        return (
            torch.where(taken[..., None], dets.unflatten(0, (images, seats)), 0.0),
            torch.where(taken[..., None, None], keypoints.unflatten(0, (images, seats)), 0.0),
        )

    def scored(self, answers: Outputs, size: tuple[int, int]) -> tuple[Dense, Tensor]:
        """What the network says of each cell, in pixels, and the score of each (B, N)."""
        strides = self.rest.head.strides
        dense = decoded(answers, [(size[0] // s, size[1] // s) for s in strides], strides)
        return dense, dense.cls[..., 0].sigmoid()

    def rows(self, dense: Dense, scores: Tensor, image: Tensor, cell: Tensor) -> tuple[Tensor, Tensor]:
        """Rows of dets (P, 5) and keypoints (P, K, 3) for the persons of the cells at (image, cell), both (P,)."""
        # A tracer knows no number of persons to divide, and a GPU needs no division.
        lot = None if torch.compiler.is_compiling() or image.device.type != "cpu" else decode.PERSON_LOT
        found = decode.poses(self.rest, dense, image, cell, lot)
        return (
            torch.cat((found.boxes, scores[image, cell, None]), -1),
            torch.cat((found.keypoints, found.visible.unsqueeze(-1)), -1),
        )


# Two operators, so that an exporter can put its own in place of them.
@torch.library.custom_op("workbench::survivors", mutates_args=())
def exported_survivors(
    boxes: Tensor, scores: Tensor, score_threshold: float, nms_threshold: float, max_persons: int
) -> Tensor:
    """Image and cell (P, 2) of the persons among boxes (B, N, 4) with scores (B, N), by image, then falling score."""
    image, cell = decode.survivors(boxes, scores, score_threshold, nms_threshold, nms_pre=scores.shape[1])
    return torch.stack((image, cell), 1)[_ranks(image, scores.shape[0]) < max_persons]


@exported_survivors.register_fake
def _(boxes: Tensor, scores: Tensor, score_threshold: float, nms_threshold: float, max_persons: int) -> Tensor:
    return boxes.new_empty((torch.library.get_ctx().new_dynamic_size(), 2), dtype=torch.int64)


@torch.library.custom_op("workbench::seats", mutates_args=())
def exported_seats(
    boxes: Tensor, scores: Tensor, score_threshold: float, nms_threshold: float, max_persons: int
) -> tuple[Tensor, Tensor]:
    """The same as cells (B, max_persons), 0 after the last person, and the number of persons (B,)."""
    image, cell = exported_survivors(boxes, scores, score_threshold, nms_threshold, max_persons).unbind(1)
    images = scores.shape[0]
    cells = cell.new_zeros(images, max_persons)
    cells[image, _ranks(image, images)] = cell
    return cells, _counts(image, images)


@exported_seats.register_fake
def _(
    boxes: Tensor, scores: Tensor, score_threshold: float, nms_threshold: float, max_persons: int
) -> tuple[Tensor, Tensor]:
    cells = boxes.new_empty((boxes.shape[0], max_persons), dtype=torch.int64)
    return cells, boxes.new_empty(boxes.shape[:1], dtype=torch.int64)


def _ranks(image: Tensor, images: int) -> Tensor:
    """Place (P,) of each person in its image; `image` (P,) ascends."""
    counts = _counts(image, images)
    return torch.arange(image.shape[0], device=image.device) - (counts.cumsum(0) - counts)[image]


def _counts(image: Tensor, images: int) -> Tensor:
    """Persons (B,) of each image."""
    return (image[:, None] == torch.arange(images, device=image.device)).sum(0)


def _places(image: Tensor, images: int) -> Callable[[Tensor], Tensor]:
    """Puts rows (P, ...) where they belong in (B, N, ...), zeros elsewhere."""
    rank = _ranks(image, images)
    width = _counts(image, images).amax(0).clamp(min=1).item()
    torch._check(width >= 1)  # for tracers, which do not see the number

    def place(rows: Tensor) -> Tensor:
        return rows.new_zeros(images, width, *rows.shape[1:]).index_put((image, rank), rows)  # pyright: ignore

    return place


def detections(dets: NDArray[np.float32], keypoints: NDArray[np.float32]) -> list[Detections]:
    """What `Deployed` and exported models give, as records per image without the padding."""
    found = []
    for i, (rows, points) in enumerate(zip(dets, keypoints, strict=True)):
        person = rows[:, 4] > 0
        boxes, scores, points = rows[person, :4], rows[person, 4], points[person]
        labels = np.zeros(len(scores), np.int64)
        found.append(
            Detections(
                boxes=boxes,
                scores=scores,
                labels=labels,
                keypoints=points[..., :2],
                keypoint_scores=points[..., 2],
                image_id=i,
            )
        )
    return found


@dataclass(frozen=True)
class Agreement:
    """How far some detections are from reference ones, over the persons that both have: boxes of an IoU of 0.5."""

    persons: int  # of the reference
    missing: int
    extra: int
    median: float  # pixels between key points
    most: float
    score: float  # largest difference

    def __str__(self) -> str:
        lost = f", {self.missing} missing, {self.extra} new" if self.missing or self.extra else ""
        if self.persons == self.missing:  # nothing that could differ
            return f"{self.persons} persons{lost}; nobody to compare, so this says nothing"
        return (
            f"{self.persons} persons{lost}; key points differ by {self.median:.4f} px (median) and {self.most:.4f} px "
            f"(most), scores by {self.score:.5f}"
        )


def agreement(found: Sequence[Detections], reference: Sequence[Detections]) -> Agreement:
    """Compares detections of the same images. Each reference person, best first, takes the box that fits best."""
    distances, scores, missing, extra = [np.zeros(0)], [0.0], 0, 0
    for ours, theirs in zip(found, reference, strict=True):
        overlap = box_iou(torch.from_numpy(theirs.boxes)[:, None], torch.from_numpy(ours.boxes)).numpy()
        for i, row in enumerate(overlap):
            j = int(row.argmax()) if row.size else 0
            if not row.size or row[j] < 0.5:
                missing += 1
                continue
            overlap[:, j] = -1  # taken
            distances.append(np.hypot(*(ours.keypoints[j] - theirs.keypoints[i]).T))
            scores.append(abs(float(ours.scores[j] - theirs.scores[i])))
        extra += len(ours) - int((overlap[:1] == -1).sum())
    every = np.concatenate(distances)
    median, most = (float(np.median(every)), float(every.max())) if every.size else (0.0, 0.0)
    return Agreement(sum(map(len, reference)), missing, extra, median, most, max(scores))


# Folding


@torch.no_grad()
def lean(network: Network) -> Network:
    """A copy that answers as `network.eval()` does, up to rounding, with fewer layers.

    Norms that are no part of our own blocks stay: those of a timm backbone are folded by the runtimes.
    """
    copied = cast(Network, fused(network)).eval()
    for name, module in list(copied.named_modules()):
        if isinstance(module, FocusStem):
            parent, _, last = name.rpartition(".")
            copied.get_submodule(parent).add_module(last, _without_phases(module))
    for module in copied.modules():
        if isinstance(module, ConvUnit) and isinstance(module.bn, nn.BatchNorm2d):
            module.conv = _convolution(module)
            module.add_module("bn", nn.Identity())
        elif isinstance(module, nn.Sequential):
            _fold_linear(module)
    copied.backbone, copied.neck = copied.backbone.lean(), copied.neck.lean()
    return copied


def _without_phases(stem: FocusStem) -> ConvUnit:
    """The unit whose 6x6 kernel meets with stride 2 the pixels that the stem's 3x3 kernel meets in the four phases."""
    unit = copy.deepcopy(stem.conv)
    c, small = unit.conv.in_channels // 4, unit.conv.weight  # (C, 4 c, 3, 3)
    phase = small.unflatten(1, (2, 2, c))  # (C, column, row, c, 3, 3)
    large = phase.permute(0, 3, 4, 2, 5, 1).reshape(len(small), c, 6, 6)
    unit.conv = nn.Conv2d(c, len(small), 6, 2, 2, bias=False, device=small.device, dtype=small.dtype)
    unit.conv.weight = nn.Parameter(large)
    return unit


def _convolution(unit: ConvUnit) -> nn.Conv2d:
    """The unit's convolution and norm as one convolution."""
    conv = copy.deepcopy(unit.conv)
    weight, bias = folded(unit)
    conv.weight, conv.bias = nn.Parameter(weight), nn.Parameter(bias)
    return conv


def _fold_linear(layers: nn.Sequential) -> None:
    """Puts a norm over instances into the linear layer before it."""
    for i in range(len(layers) - 1):
        linear, norm = layers[i], layers[i + 1]
        if isinstance(linear, nn.Linear) and isinstance(norm, nn.BatchNorm1d):
            assert norm.running_mean is not None and norm.running_var is not None
            scale = norm.weight / (norm.running_var + norm.eps).sqrt()
            bias = norm.bias - norm.running_mean * scale
            linear.weight = nn.Parameter(linear.weight * scale[:, None])
            linear.bias = nn.Parameter(bias if linear.bias is None else bias + linear.bias * scale)
            layers[i + 1] = nn.Identity()
