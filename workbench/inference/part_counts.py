"""What many networks cost: each distinct part is built and counted once.

A search space multiplies its options, and its networks share their parts: of 384 there may be 6 backbones, 96 necks
with what these are given, 2 heads and 4 coordinate stages. A part is told apart by its spec and by what its module is
told of the parts before. All is counted on shapes alone, and a network's sum is that of `cost.parameters` and
`cost.flops`, to the unit. A process counts for its jobs so, too: rows of a study share most of their parts.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from torch import nn

from workbench.components.blocks import fused
from workbench.inference.cost import PERSONS, Flops, multiply_adds, parameter_count
from workbench.models.job import Job
from workbench.models.variant import Variant
from workbench.slots import Backbone
from workbench.tensors import Cells, Levels


@dataclass(frozen=True)
class Counted:
    """Parameters of a whole network, and multiply-adds of its deployed form by part."""

    params: int
    flops: Flops

    @property
    def gflops(self) -> float:
        """10^9 multiply-adds of one image."""
        return self.flops.total / 1e9


@dataclass(frozen=True)
class _Part:
    """What is known of a part. `facts`: what it tells the next one."""

    params: int
    multiply_adds: int
    facts: Any


class PartCounter:
    """Counts networks on images of `size` (height, width) on each of which `persons` are found."""

    def __init__(self, size: tuple[int, int] = (640, 640), persons: int = PERSONS) -> None:
        self.size, self.persons = size, persons
        self._known: dict[Hashable, _Part] = {}

    def count(self, variant: Variant) -> Counted:
        """What a variant's network costs.

        Raises:
            Refused: a part can not be built on the one before.
        """
        backbone = self._backbone(variant.backbone)
        neck = self._neck(variant, backbone.facts)
        head = self._head(variant, neck.facts)
        coords = self._coords(variant, head.facts)
        parts = {"backbone": backbone, "neck": neck, "head": head, "coords": coords}
        return Counted(
            sum(part.params for part in parts.values()),
            Flops(**{k: p.multiply_adds for k, p in parts.items()}, persons=self.persons, size=self.size),
        )

    def _backbone(self, spec: Backbone) -> _Part:
        if dict(spec.flat()).get("use_pretrained"):
            spec = spec.vary({"use_pretrained": False})  # what weights hold changes no cost
        return self._part(
            ("backbone", spec),
            spec.build,
            lambda module: multiply_adds(module, _meta(1, 3, *self.size), counter="torch"),
            lambda module: module.levels,
        )

    def _neck(self, variant: Variant, levels: Levels) -> _Part:
        return self._part(
            ("neck", variant.neck, levels),
            lambda: variant.neck.build(levels),
            lambda module: self._of_maps(module, levels),
            lambda module: module.levels,
        )

    def _head(self, variant: Variant, levels: Levels) -> _Part:
        told, proxy = (levels, variant.num_classes, variant.num_keypoints), variant.coords.reads_proxy
        return self._part(
            ("head", variant.head, *told, proxy),
            lambda: variant.head.build(*told),
            lambda module: self._of_maps(lambda maps: module(maps, proxy=proxy), levels),
            lambda module: module.pose_channels,
        )

    def _coords(self, variant: Variant, pose_channels: int) -> _Part:
        told, people = (pose_channels, variant.num_keypoints), self.persons
        cells = Cells(
            pose=_meta(people, pose_channels),
            boxes=_meta(people, 4),
            points=_meta(people, 2),
            strides=_meta(people),
            proxy=_meta(people, variant.num_keypoints, 2) if variant.coords.reads_proxy else None,
            canvas=self.size,
        )
        return self._part(
            ("coords", variant.coords, *told),
            lambda: variant.coords.build(*told),
            lambda module: multiply_adds(_Called(lambda: module.decode(cells)), counter="torch"),
            lambda module: None,
        )

    def _of_maps(self, call: Callable[[list[torch.Tensor]], object], levels: Levels) -> int:
        maps = [_meta(1, lv.channels, *(-(-side // lv.stride) for side in self.size)) for lv in levels]
        return multiply_adds(_Called(lambda *given: call(list(given))), *maps, counter="torch")

    def _part(
        self,
        key: Hashable,
        build: Callable[[], nn.Module],
        count: Callable[[Any], int],
        facts: Callable[[Any], Any],
    ) -> _Part:
        if key not in self._known:
            with torch.device("meta"), torch.random.fork_rng(devices=[]):
                module = build().eval()
                self._known[key] = _Part(parameter_count(module), count(fused(module)), facts(module))
        return self._known[key]


def cost_metrics(job: Job) -> dict[str, float]:
    """What a job's record says of cost: exact, whatever the machine.

    params: all parameters. gflops: 10^9 multiply-adds of one image, deployed form, with the coordinate stage for
    `PERSONS` persons.
    """
    counted = cached_counter(job.protocol.size).count(job.variant)
    return {"params": float(counted.params), "gflops": counted.gflops}


cached_counter = cache(PartCounter)  # of this process, by size


class _Called(nn.Module):
    """A function of tensors, as the counter wants it."""

    def __init__(self, call: Callable[..., object]) -> None:
        super().__init__()
        self._call = call

    def forward(self, *inputs: torch.Tensor) -> object:
        return self._call(*inputs)


def _meta(*shape: int) -> torch.Tensor:
    return torch.empty(*shape, device="meta")
