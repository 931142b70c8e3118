"""Batch norm in channels_last against double precision, at the size of maps in training and for one and two threads."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from docs.batch_norm_channels_last import errors
from tests.small import small_variant
from workbench.components.backbones.timm_backbone import TimmBackbone
from workbench.components.batch_norm import BatchNorm2d, exact_norms, parts_of
from workbench.models.network import Network

SHAPES = ((8, 32, 160, 160), (8, 64, 40, 40), (8, 256, 10, 10), (7, 16, 13, 13), (2, 4, 1, 1))


@pytest.fixture(params=[1, 2])
def threads(request: pytest.FixtureRequest) -> Iterator[int]:
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)


def stepped(norm: nn.Module, x: Tensor, grad: Tensor) -> dict[str, Tensor]:
    """What a training step makes of a norm: values, gradients, running statistics, all in double precision."""
    x = x.detach().requires_grad_()
    y = norm(x)
    y.backward(grad)
    named: dict[str, Any] = {"y": y, "x.grad": x.grad, **dict(norm.named_buffers())}
    named |= {f"{name}.grad": p.grad for name, p in norm.named_parameters()}
    return {name: value.detach().double() for name, value in named.items()}


def input_of(shape: tuple[int, ...]) -> tuple[Tensor, Tensor]:
    """Channels that lie up to ten deviations from 0, and the gradient of what comes out."""
    random = torch.Generator().manual_seed(0)
    x = 30 * torch.randn(shape, generator=random) + 300 * torch.rand(shape[1], generator=random)[:, None, None]
    grad = torch.randn(shape, generator=random)
    return (one.contiguous(memory_format=torch.channels_last) for one in (x, grad))  # pyright: ignore[reportReturnType]


@pytest.mark.slow
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_a_step_is_that_of_double_precision(shape: tuple[int, ...], threads: int) -> None:
    x, grad = input_of(shape)
    norm = BatchNorm2d(shape[1], momentum=0.3)
    nn.init.uniform_(norm.weight, 0.5, 1.5)
    mine, exact = stepped(copy.deepcopy(norm), x, grad), stepped(norm.double(), x.double(), grad.double())
    assert mine.keys() == exact.keys() and mine["num_batches_tracked"] == 1
    for name, value in exact.items():
        scale = value.abs().max().clamp(min=1) if "running" not in name else value.abs().max()
        assert (mine[name] - value).abs().max() < 1e-5 * scale, name


@pytest.mark.slow
def test_every_norm_of_a_network_is_exact() -> None:
    """timm's and ours, in a training step, each against double precision on what it was given."""
    network = Network(small_variant().vary({"backbone": TimmBackbone(name="mobilenetv4_conv_small")}), 0)
    off: list[float] = []

    def compare(norm: nn.Module, inputs: tuple[Tensor, ...], _: Any) -> None:
        (x,) = inputs
        assert isinstance(norm, BatchNorm2d)
        want = nn.functional.batch_norm(x.double(), None, None, norm.weight.double(), norm.bias.double(), True)
        with torch.no_grad():
            off.append(float((BatchNorm2d.forward(copy.deepcopy(norm), x) - want).abs().max()))

    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    for norm in norms:
        norm.eps = 1e-5
        norm.register_forward_hook(compare)
    images = 255 * torch.rand(2, 3, 160, 160, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        network.to(memory_format=torch.channels_last).train().towers(
            images.contiguous(memory_format=torch.channels_last)
        )  # pyright: ignore[reportCallIssue]
    assert len(norms) > 60 and len(off) > 60 and max(off) < 1e-5


@pytest.mark.slow
def test_the_fault_is_still_there(threads: int) -> None:
    """Else `workbench/components/batch_norm.py` can go."""
    found = errors(threads)
    assert found["contiguous"] < 1e-5 < found["channels_last"]


def test_every_norm_of_a_network_is_replaced_and_keeps_its_names() -> None:
    net: Any = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4), nn.BatchNorm1d(4))
    before = net.state_dict()
    exact_norms(net)
    assert [type(part) for part in net] == [nn.Conv2d, BatchNorm2d, nn.BatchNorm1d]
    assert net.state_dict().keys() == before.keys()


@pytest.mark.parametrize(
    "changes",
    [{"affine": False}, {"track_running_stats": False}, {"momentum": None}],
    ids=str,
)
def test_what_it_does_not_cover_is_torch_s(changes: dict[str, Any]) -> None:
    x, _ = input_of((4, 8, 16, 16))
    mine, theirs = BatchNorm2d(8, **changes), nn.BatchNorm2d(8, **changes)
    assert torch.equal(mine(x), theirs(x))
    assert torch.equal(mine.eval()(x), theirs.eval()(x))


def test_half_precision_is_torch_s() -> None:
    x, _ = input_of((4, 8, 16, 16))
    assert torch.equal(BatchNorm2d(8)(x.bfloat16()), nn.BatchNorm2d(8)(x.bfloat16()))


def test_a_single_value_is_refused_as_by_torch() -> None:
    with pytest.raises(ValueError, match="more than 1 value"):
        BatchNorm2d(4)(torch.zeros(1, 4, 1, 1))


@pytest.mark.parametrize(
    ("count", "groups"), [(1, 1), (128, 1), (800, 5), (204_800, 400), (7 * 169, 7), (500 * 104_729, 1), (104_729, 1)]
)
def test_sums_are_short_and_whole(count: int, groups: int) -> None:
    assert parts_of(count) == groups
