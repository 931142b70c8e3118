"""Parameter groups: which parameters have a rate of their own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

import pytest
from torch import Tensor, nn

from tests.small import small_variant
from workbench.components.necks.hybrid_encoder import HybridEncoder
from workbench.components.necks.pafpn import PAFPN
from workbench.models.job import Recipe
from workbench.models.network import Network
from workbench.slots import Neck, Pyramid
from workbench.tensors import Level, Levels
from workbench.training.optim import parameter_groups


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
