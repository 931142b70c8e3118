"""The network of a variant: images to what every cell says, and few cells to key points."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256

import torch
from torch import Tensor, nn

from workbench.components.batch_norm import exact_norms
from workbench.core.errors import Refused
from workbench.core.spec import Spec
from workbench.models.variant import Variant
from workbench.slots import Outputs, Towers
from workbench.tensors import Cells, Dense


class Network(nn.Module):
    """A built variant. Children: `backbone`, `neck`, `head`, `coords`.

    `seed` fixes the initial weights part by part, so that two variants which share a part share its first weights.

    Raises:
        Refused: the neck calls a child slow, or the head one probed, that its module does not have.
    """

    def __init__(self, variant: Variant, seed: int | None = None) -> None:
        super().__init__()
        self.variant = variant
        with torch.random.fork_rng(devices=[], enabled=seed is not None):
            _reseed(seed, "backbone")
            self.backbone = variant.backbone.build()
            _reseed(seed, "neck")
            self.neck = variant.neck.build(self.backbone.levels)
            _reseed(seed, "head")
            self.head = variant.head.build(self.neck.levels, variant.num_classes, variant.num_keypoints)
            _reseed(seed, "coords")
            self.coords = variant.coords.build(self.head.pose_channels, variant.num_keypoints)
        exact_norms(self)
        _check_children(variant.neck, "slow", variant.neck.slow, self.neck)
        _check_children(variant.head, "probed", variant.head.probed, self.head)

    @property
    def slow(self) -> tuple[str, ...]:
        """How the names of the parameters begin whose learning rate is scaled."""
        return tuple(f"neck.{child}." for child in self.variant.neck.slow)

    def towers(self, images: Tensor) -> Towers:
        """The part that a frozen trunk computes once."""
        return self.head.towers(self.neck(self.backbone(images)))

    def forward(self, images: Tensor | Towers, proxy: bool = False) -> Dense:
        """Every cell's answer. The regression branch is computed in training, where the coordinate stage reads it, and
        where `proxy` asks for it: the losses do, also of a network in eval mode."""
        towers = images if isinstance(images, Towers) else self.towers(images)
        outputs = self.head.read(towers, proxy=proxy or self.training or self.variant.coords.reads_proxy)
        return decoded(outputs, [(t.shape[-2], t.shape[-1]) for t in towers.cls], self.head.strides)


def _check_children(spec: Spec, fact: str, named: tuple[str, ...], module: nn.Module) -> None:
    children = [name for name, _ in module.named_children()]
    if unknown := sorted(set(named) - set(children)):
        raise Refused(f"{type(spec).__name__}.{fact} names {unknown}; its module has the children {children}")


def _reseed(seed: int | None, part: str) -> None:
    if seed is not None:
        torch.manual_seed(int.from_bytes(sha256(f"{seed} {part}".encode()).digest()[:7], "big"))


def priors(shapes: Sequence[tuple[int, int]], strides: Sequence[int], device: torch.device) -> tuple[Tensor, Tensor]:
    """Cell centres (N, 2) and strides (N,): cell i of a level lies at i * s + (s - 1) / 2."""
    points, sizes = [], []
    for (h, w), s in zip(shapes, strides, strict=True):
        y, x = torch.meshgrid(torch.arange(h, device=device), torch.arange(w, device=device), indexing="ij")
        points.append(torch.stack([x, y], -1).reshape(-1, 2) * float(s) + (s - 1) / 2)
        sizes.append(torch.full((h * w,), float(s), device=device))
    return torch.cat(points), torch.cat(sizes)


def decoded(outputs: Outputs, shapes: list[tuple[int, int]], strides: Sequence[int]) -> Dense:
    """Raw answers in pixels: boxes with exp(log size), key points as offsets from the cell centre. In float32."""
    points, sizes = priors(shapes, strides, outputs.box.device)
    box = outputs.box.float()
    centre = box[..., :2] * sizes[:, None] + points
    half = box[..., 2:].exp() * (sizes[:, None] / 2)
    proxy = None
    if outputs.proxy is not None:
        offsets = outputs.proxy.float().unflatten(-1, (-1, 2))  # (B, N, K, 2)
        proxy = offsets * sizes[:, None, None] + points[:, None]
    return Dense(
        cls=outputs.cls.float(),
        box_raw=box,
        boxes=torch.cat([centre - half, centre + half], -1),
        proxy=proxy,
        vis=outputs.vis.float(),
        pose=outputs.pose,
        points=points,
        strides=sizes,
        canvas=(shapes[0][0] * strides[0], shapes[0][1] * strides[0]),
    )


def gather(dense: Dense, image: Tensor, cell: Tensor) -> Cells:
    """The cells at (image, cell), both (P,)."""
    return Cells(
        pose=dense.pose[image, cell],
        boxes=dense.boxes[image, cell],
        points=dense.points[cell],
        strides=dense.strides[cell],
        proxy=None if dense.proxy is None else dense.proxy[image, cell],
        canvas=dense.canvas,
    )
