"""Parameter groups, which have rates of their own, and the average of the weights, against the reference's series."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, final

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from tests.small import small_variant
from workbench.components.necks.hybrid_encoder import HybridEncoder
from workbench.components.necks.pafpn import PAFPN
from workbench.models.job import Recipe
from workbench.models.network import Network
from workbench.models.published import published_name
from workbench.models.zoo import rtmo
from workbench.slots import Neck, Pyramid
from workbench.tensors import Level, Levels
from workbench.training.optim import MovingAverage, ema_momentum, parameter_groups

GOLDEN = Path(__file__).parents[1] / "golden" / "schedule"


@final
@dataclass(frozen=True, kw_only=True)
class Mixer(Neck):
    """A neck of somebody else's whose slow layers have names of their own."""

    slow: ClassVar[tuple[str, ...]] = ("mixing", "gates")

    def build(self, levels: Levels) -> Pyramid:
        return _Mixer(levels)


class _Mixer(Pyramid):
    def __init__(self, levels: Levels) -> None:
        super().__init__()
        self.levels = tuple(Level(32, level.stride) for level in levels[1:])
        self.project = nn.ModuleList(nn.Conv2d(level.channels, 32, 1) for level in levels[1:])
        self.mixing, self.gates, self.mixing_too = (nn.Conv2d(32, 32, 1) for _ in range(3))

    def forward(self, feats: list[Tensor]) -> list[Tensor]:
        maps = [layer(x) for layer, x in zip(self.project, feats[1:], strict=True)]
        return [self.mixing(x) * self.gates(x) + self.mixing_too(x) for x in maps]


def slow(neck: Neck, recipe: Recipe) -> set[str]:
    """The children of the neck, and other parts of the network, that start from the scaled rate."""
    network = Network(small_variant(neck=neck), seed=0)
    names = {id(p): name for name, p in network.named_parameters()}
    found: set[str] = set()
    for group in parameter_groups(network, recipe):
        if group["base"] == recipe.lr * recipe.encoder_lr_scale:
            found |= {".".join(names[id(p)].split(".")[:2]) for p in group["params"]}  # pyright: ignore[reportGeneralTypeIssues]
        else:
            assert group["base"] == recipe.lr
    return found


@pytest.mark.parametrize(
    ("neck", "children"),
    [
        (Mixer(), {"neck.mixing", "neck.gates"}),
        (HybridEncoder(transformer_embed_dims=16, transformer_num_heads=2, out_channels=32), {"neck.encoder"}),
        (PAFPN(width=0.125, out_channels=32), set()),
    ],
)
def test_the_neck_says_what_learns_slowly(neck: Neck, children: set[str]) -> None:
    assert slow(neck, Recipe(lr=1e-2, encoder_lr_scale=0.1)) == children


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
