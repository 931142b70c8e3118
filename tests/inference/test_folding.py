"""The folded copy answers as its network does, whatever has happened to that since."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable

import pytest
import torch
from torch import nn

from tests.inference.tiny import disturbed
from tests.small import small_variant
from workbench.inference.folding import Folding
from workbench.models.network import Network


def made() -> Network:
    return disturbed(Network(small_variant(), seed=0)).eval()


def images() -> torch.Tensor:
    return 255 * torch.rand(2, 3, 64, 96, generator=torch.Generator().manual_seed(0))


def norm_of(network: Network) -> nn.BatchNorm2d:
    return next(one for one in network.modules() if isinstance(one, nn.BatchNorm2d))


def step(network: Network) -> None:
    with torch.no_grad():
        next(network.parameters()).mul_(1.5)


def loaded(network: Network) -> None:
    network.load_state_dict(disturbed(Network(small_variant(), seed=1)).state_dict())


def behind_its_back(network: Network) -> None:
    for one in network.parameters():
        one.data.mul_(1.1)


def statistics(network: Network) -> None:
    mean = norm_of(network).running_mean
    assert mean is not None
    mean.data.add_(1)


def replaced(network: Network) -> None:
    network.head = Network(small_variant(), seed=2).eval().head


@torch.no_grad()
def agree(folded: Network, network: Network) -> bool:
    a, b = folded(images()), network(images())
    return all(
        torch.allclose(x, y, rtol=1e-3, atol=1e-3) for x, y in ((a.cls, b.cls), (a.boxes, b.boxes), (a.pose, b.pose))
    )


@pytest.mark.parametrize("change", [step, loaded, behind_its_back, statistics, replaced])
def test_every_change_is_seen(change: Callable[[Network], None]) -> None:
    network, folding = made(), Folding()
    before = folding.of(network)
    assert agree(before, network) and folding.of(network) is before
    change(network)
    assert not agree(before, network)
    assert agree(folding.of(network), network)


def test_the_network_stays_as_it_is_and_the_copy_has_fewer_norms() -> None:
    network = made().train()
    folded = Folding().of(network)
    assert network.training and not folded.training
    counts = [sum(isinstance(one, nn.BatchNorm2d) for one in net.modules()) for net in (network, folded)]
    assert counts[0] > 0 and counts[1] == 0


def test_a_copy_folds_for_itself() -> None:
    folding, network = Folding(), made()
    folded = folding.of(network)
    for other in (copy.deepcopy(folding), pickle.loads(pickle.dumps(folding))):
        assert other.of(network) is not folded
