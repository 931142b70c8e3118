"""Frozen trunks: what a probe trains anew is what the head says, whatever its layers are called."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Barrier
from time import sleep
from types import SimpleNamespace
from typing import ClassVar, final

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from tests.small import small_job, small_variant
from workbench.core.errors import Refused
from workbench.models import trunk
from workbench.models.initial import keep_start_weights
from workbench.models.job import Job
from workbench.models.network import Network
from workbench.models.weight_names import is_constant
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


def test_the_trunk_of_a_file_is_frozen_and_the_rest_is_new(tmp_path: Path) -> None:
    given = {name: value.half() if value.is_floating_point() else value for name, value in _trained().items()}
    save_file(given, tmp_path / "a.safetensors")
    name = trunk.file_trunk(keep_start_weights(tmp_path / "a.safetensors", tmp_path))
    network = trunk.on_trunk(small_job(trunk=name), tmp_path)
    anew = trunk.probed(network.variant)
    for key, value in network.state_dict().items():
        if value.is_floating_point() and not is_constant(key) and not key.startswith(anew):
            assert torch.equal(value, given[key].float()), key
    made = Network(small_variant(), small_job().seed).state_dict()
    assert torch.equal(network.state_dict()["coords.x_fc.weight"], made["coords.x_fc.weight"])
    assert {key for key, p in network.named_parameters() if p.requires_grad} == {
        key for key, _ in network.named_parameters() if key.startswith(anew)
    }
    other = small_job(trunk=name).vary({"variant.neck.transformer_encoder_layers": 2})
    with pytest.raises(Refused, match="does not fit this variant"):
        trunk.on_trunk(other, tmp_path)


def _trained() -> dict[str, Tensor]:
    return dict(Network(small_variant(), seed=7).state_dict())


def test_two_that_come_first_at_once_compute_the_features_once_in_half_precision(tmp_path: Path) -> None:
    network, path = Network(small_variant(), seed=1), tmp_path / "features" / "one.safetensors"
    both, asked = Barrier(2), list[int]()

    def images() -> Iterator[SimpleNamespace]:
        asked.append(1)
        sleep(0.2)  # the other one is there by now, and has to wait
        yield SimpleNamespace(images=torch.rand(2, 3, 64, 64), image_ids=(7, 9))

    def worker(_: int) -> trunk.Features:
        both.wait()
        return trunk.features(network, images, 0, path)

    with ThreadPoolExecutor(2) as pool:
        mine, theirs = pool.map(worker, range(2))
    assert len(asked) == 1
    for name, maps in mine.maps.items():
        assert maps.dtype == (torch.int64 if name == "ids" else torch.float16)
        assert torch.equal(maps, theirs.maps[name])


@pytest.mark.parametrize("fault", ["no pose", "fewer"])
def test_features_that_are_not_whole_are_made_again(fault: str, tmp_path: Path) -> None:
    """A file that can be read, as an earlier version or another program may have left it."""
    network, path = Network(small_variant(), seed=1), tmp_path / "one.safetensors"

    def images() -> Iterator[SimpleNamespace]:
        yield SimpleNamespace(images=torch.ones(2, 3, 64, 64), image_ids=(7, 9))

    whole = trunk.features(network, images, 0, path).maps
    left = {name: maps for name, maps in whole.items() if fault != "no pose" or not name.startswith("pose")}
    save_file({name: maps[:1] if (fault, name) == ("fewer", "ids") else maps for name, maps in left.items()}, path)
    again = trunk.features(network, images, 0, path).maps
    assert again.keys() == whole.keys() and all(torch.equal(again[name], maps) for name, maps in whole.items())
