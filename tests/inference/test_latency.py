"""Latencies of networks: planted persons, random weights, what is refused, and what a job records."""

from __future__ import annotations

import pytest
import torch

from tests.small import small_variant
from workbench.core.errors import Refused
from workbench.inference import latency
from workbench.inference.latency import TimingTask
from workbench.inference.timing import measure
from workbench.models.network import Network


def test_planting_leaves_the_rest_as_it_is() -> None:
    network, images = Network(small_variant(), seed=0).eval(), torch.rand(1, 3, 64, 64) * 255
    with torch.no_grad():
        before, after = network(images), latency.with_persons(network, TimingTask((64, 64), 3))(images)
    assert torch.equal(before.pose, after.pose) and torch.equal(before.vis, after.vis)
    assert int((after.cls > 0).sum()) == 3 and not torch.equal(before.boxes, after.boxes)


def test_more_persons_than_cells_are_refused() -> None:
    with pytest.raises(Refused, match="21 persons"):
        latency.with_persons(Network(small_variant(), seed=0).eval(), TimingTask((64, 64), 21))


def test_activations_of_random_weights_do_not_die_away() -> None:
    task = TimingTask((64, 64))
    plain, settled = Network(small_variant(), seed=0).eval(), latency.with_batch_statistics(small_variant(), task)
    with torch.no_grad():
        deepest = [network.backbone(latency.noise_images(task))[-1].std() for network in (plain, settled)]
    assert deepest[1] > 10 * deepest[0] and deepest[1] > 0.1
    norms = [m for m in settled.modules() if isinstance(m, torch.nn.BatchNorm2d)]
    assert not any(norm.training for norm in norms) and {norm.momentum for norm in norms} <= {0.03, 0.1}


def test_what_can_not_be_timed_is_refused() -> None:
    with pytest.raises(Refused, match="'b' is not among"):
        measure({"a": lambda: None}, "b")
    with pytest.raises(Refused, match="100 x 64"):
        TimingTask((100, 64))
    with pytest.raises(Refused, match="a batch of 0"):
        TimingTask(batch=0)
    if not torch.cuda.is_available():
        with pytest.raises(Refused, match="no GPU"):
            TimingTask(device="cuda")
