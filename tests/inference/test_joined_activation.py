"""Units whose activation is part of their convolution answer as they did."""

from __future__ import annotations

import copy
from collections import Counter
from typing import Any

import pytest
import torch
from torch import nn

from tests.inference.tiny import crowd, network
from workbench.components.backbones.timm_backbone import TimmBackbone
from workbench.inference.deployed import lean
from workbench.inference.joined_activation import join_activations
from workbench.models.network import Network
from workbench.tensors import Dense


def joined(net: Network) -> Network:
    join_activations(net)
    return net


def kinds(net: nn.Module) -> Counter[str]:
    return Counter(type(one).__name__ for one in net.modules())


def close(ours: Dense, theirs: Dense, most: float) -> None:
    for name in ("cls", "boxes", "vis", "pose"):
        torch.testing.assert_close(getattr(ours, name), getattr(theirs, name), rtol=0, atol=most)


@torch.no_grad()
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_it_answers_as_before(layout: torch.memory_format) -> None:
    plain = lean(network())
    ours, images = joined(lean(network())).to(memory_format=layout), crowd(2, 128, 160)  # pyright: ignore
    assert kinds(ours)["_Joined"] == kinds(plain)[nn.Conv2d.__name__] > 30
    close(ours(images.contiguous(memory_format=layout)), plain(images), 1e-3)


@torch.no_grad()
def test_in_another_precision_it_runs_as_it_was() -> None:
    plain, ours, images = lean(network()), joined(lean(network())), crowd(1, 64, 64)
    close(ours.double()(images.double()), plain.double()(images.double()), 0)
    with torch.autocast("cpu", torch.bfloat16):
        close(ours.float()(images), plain.float()(images), 0)


def test_a_gradient_of_its_input_is_as_before() -> None:
    images = crowd(1, 64, 64).requires_grad_()
    ours, plain = (
        torch.autograd.grad(net(images).cls.sum(), images)[0] for net in (joined(lean(network())), lean(network()))
    )
    assert plain.any() and torch.equal(ours, plain)


@torch.no_grad()
@pytest.mark.parametrize("name", ["mobilenetv4_conv_small", "ghostnetv2_100"])
def test_a_backbone_that_keeps_its_norms_answers_as_before(name: str) -> None:
    backbone = TimmBackbone(name=name).build().eval()
    ours, images = copy.deepcopy(backbone), crowd(2, 96, 128).contiguous(memory_format=torch.channels_last)
    join_activations(ours)
    assert kinds(ours)["_Joined"] > 20
    for a, b in zip(ours(images), backbone(images), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-4)


@torch.no_grad()
def test_maps_of_any_shape_one_after_the_other_and_from_a_copy() -> None:
    plain, ours = lean(network()), joined(lean(network()))
    for _ in range(2):
        for shape in ((1, 64, 96), (2, 128, 160), (1, 64, 96), (3, 64, 96)):
            close(ours(crowd(*shape)), plain(crowd(*shape)), 1e-3)
        ours = copy.deepcopy(ours)


@torch.no_grad()
@pytest.mark.parametrize(
    "how",
    [
        {"dilation": 2},
        {"groups": 4},
        {"stride": (2, 1)},
        {"bias": False},
        {"padding": "same"},
        {"padding": 1, "padding_mode": "reflect"},
    ],
    ids=str,
)
def test_a_convolution_of_any_kind_answers_as_before(how: dict[str, Any]) -> None:
    plain = nn.Sequential(nn.Conv2d(8, 8, 3, **how))
    ours = copy.deepcopy(plain)
    join_activations(ours)
    for maps in (torch.rand(2, 8, 16, 20), torch.rand(8, 16, 20), torch.rand(0, 8, 16, 20)):
        torch.testing.assert_close(ours(maps), plain(maps), rtol=1e-4, atol=1e-4)


@torch.no_grad()
def test_a_convolution_with_a_forward_of_its_own_keeps_it() -> None:
    class Doubled(nn.Conv2d):
        def forward(self, input: torch.Tensor) -> torch.Tensor:
            return 2 * super().forward(input)

    plain, maps = nn.Sequential(Doubled(4, 4, 3)), torch.rand(1, 4, 8, 8)
    ours = copy.deepcopy(plain)
    join_activations(ours)
    assert torch.equal(ours(maps), plain(maps))


@torch.no_grad()
def test_a_kernel_is_ordered_once() -> None:
    ours = joined(lean(network()))
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profile:
        for shape in ((1, 64, 96), (2, 128, 160), (1, 64, 96)):
            ours(crowd(*shape))
    calls = {one.key: one.count for one in profile.key_averages()}
    ordered = calls["mkldnn::_reorder_convolution_weight"]
    assert 20 < ordered <= kinds(ours)["_Joined"] and calls["mkldnn::_convolution_pointwise"] == 3 * ordered
