"""Frozen trunks: what a probe trains anew is what the head says, whatever its layers are called."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar, final

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from tests.small import small_job, small_variant
from workbench.models import trunk
from workbench.models.job import Job
from workbench.models.network import Network
from workbench.slots import DenseHead, Head, Outputs, Towers
from workbench.tensors import Levels


@final
@dataclass(frozen=True, kw_only=True)
class Plain(Head):
    """A head of somebody else's: one linear layer per answer, under names of its own."""

    probed: ClassVar[tuple[str, ...]] = ("vector", "points")

    def build(self, levels: Levels, classes: int, keypoints: int) -> DenseHead:
        return _Plain(levels, classes, keypoints)


class _Plain(DenseHead):
    def __init__(self, levels: Levels, classes: int, keypoints: int) -> None:
        super().__init__()
        self.strides, self.pose_channels = tuple(level.stride for level in levels), 8
        widths = {"score": classes, "box": 4, "seen": keypoints, "points": 2 * keypoints, "vector": 8}
        for name, width in widths.items():
            self.add_module(name, nn.Conv2d(levels[0].channels, width, 1))

    def towers(self, feats: list[Tensor]) -> Towers:
        return Towers(cls=feats, pose=feats)

    def read(self, towers: Towers, proxy: bool) -> Outputs:
        def said(name: str) -> Tensor:
            return torch.cat([self.get_submodule(name)(x).flatten(2).transpose(1, 2) for x in towers.pose], 1)

        points = said("points") if proxy else None
        return Outputs(cls=said("score"), box=said("box"), proxy=points, vis=said("seen"), pose=said("vector"))


@final
@dataclass(frozen=True, kw_only=True)
class Silent(Head):
    """The same head, which says nothing of probes."""

    def build(self, levels: Levels, classes: int, keypoints: int) -> DenseHead:
        return _Plain(levels, classes, keypoints)


@pytest.mark.parametrize(("head", "anew"), [(Plain(), {"head.vector", "head.points"}), (Silent(), set())])
def test_a_probe_trains_what_the_head_names(
    head: Head, anew: set[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trunk, "STORED", tmp_path)
    job = Job(variant=small_variant(head=head), seed=1)
    trained = Network(job.variant, seed=7).state_dict()
    trunk.store_trunk("other", job, trained, {})
    names = set(load_file(tmp_path / "other.safetensors"))
    assert {name for name in trained if name not in names} == {n for n in trained if _part(n) in {"coords", *anew}}

    network = trunk.on_trunk(replace(job, protocol=small_job(trunk="other").protocol))
    free = {_part(name) for name, p in network.named_parameters() if p.requires_grad}
    assert free == {"coords", *anew}
    for name, value in network.state_dict().items():
        if _part(name) not in free and value.is_floating_point():
            torch.testing.assert_close(value, trained[name], rtol=1e-3, atol=1e-3)
    dense = network.train()(torch.rand(2, 3, 64, 64) * 255)
    assert dense.cls.requires_grad is False and dense.pose.requires_grad == bool(anew)


def _part(name: str) -> str:
    """The coordinate stage, a child of the head, or another part."""
    part, child, *_ = name.split(".")
    return f"head.{child}" if part == "head" else part
