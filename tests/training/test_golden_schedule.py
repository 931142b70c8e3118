"""Learning rate, weight average and parameter groups against the reference's series."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from tests.small import small_variant
from workbench.models.job import Recipe
from workbench.models.network import Network
from workbench.models.published import published_name
from workbench.models.schedule import CROWDPOSE_SCHEDULE, RTMO_SCHEDULE, learning_rate
from workbench.models.zoo import rtmo
from workbench.slots import Segment
from workbench.training.optim import MovingAverage, ema_momentum, parameter_groups

GOLDEN = Path(__file__).parents[1] / "golden" / "schedule"


@pytest.mark.parametrize(
    ("name", "schedule"),
    [("lr_s_10it_per_epoch", RTMO_SCHEDULE), ("lr_s_crowd_10it_per_epoch", CROWDPOSE_SCHEDULE)],
)
def test_learning_rate(name: str, schedule: tuple[Segment, ...]) -> None:
    expected = np.load(GOLDEN / f"{name}.npz")["lr"]
    recipe = Recipe()
    bases = (recipe.lr, recipe.lr * recipe.encoder_lr_scale)
    ours = [[learning_rate(schedule, base, step, len(expected)) for base in bases] for step in range(len(expected))]
    np.testing.assert_allclose(ours, expected, rtol=1e-6, atol=1e-12)


def test_momentum_of_the_average() -> None:
    g = np.load(GOLDEN / "ema_momentum.npz")
    ours = [ema_momentum(Recipe(), int(step)) for step in g["steps"]]
    np.testing.assert_allclose(ours, g["momentum"], rtol=1e-9)


def test_trajectory_of_the_average() -> None:
    g = np.load(GOLDEN / "ema_trajectory.npz")
    source = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))
    average = MovingAverage(source, Recipe())
    for i in range(6):
        source.load_state_dict({k[4:]: torch.from_numpy(np.asarray(g[k][i])) for k in g.files if k.startswith("src.")})
        average.update(source)
        for name, value in average.network.state_dict().items():
            np.testing.assert_allclose(value.numpy(), g[f"ema.{name}"][i], rtol=1e-6, atol=1e-7, err_msg=f"{i} {name}")


def test_parameter_groups() -> None:
    expected = {row["name"]: row for row in json.loads((GOLDEN / "param_groups_rtmo_s.json").read_text())}
    network = Network(rtmo("s"))
    names = {id(p): published_name(name) for name, p in network.named_parameters()}
    ours = {
        names[id(p)]: (group["lr"], group["weight_decay"], list(p.shape))
        for group in parameter_groups(network, Recipe())
        for p in group["params"]  # pyright: ignore[reportGeneralTypeIssues]
    }
    assert set(ours) == set(expected)
    for name, (lr, decay, shape) in ours.items():
        row = expected[name]
        assert (lr, decay, shape) == (pytest.approx(row["lr"]), row["weight_decay"], row["shape"]), name


def test_frozen_parameters_are_left_out() -> None:
    network = Network(small_variant())
    network.requires_grad_(False).head.out_pose.requires_grad_()
    names = {id(p): name for name, p in network.named_parameters()}
    kept = {names[id(p)] for group in parameter_groups(network, Recipe()) for p in group["params"]}  # pyright: ignore[reportGeneralTypeIssues]
    assert kept == {f"head.out_pose.{level}.{kind}" for level in (0, 1) for kind in ("weight", "bias")}
