"""The network: parts that rows of a study share begin with the same weights."""

import torch

from tests.small import small_variant
from workbench.models.network import Network


def test_rows_share_the_first_weights_of_shared_parts() -> None:
    a, b = (Network(small_variant(**c), seed=1) for c in ({}, {"coords.dynamic_encoding": False}))
    for part in ("backbone", "neck", "head"):
        mine, yours = getattr(a, part).state_dict(), getattr(b, part).state_dict()
        assert all(torch.equal(mine[k], yours[k]) for k in mine), part
    other = Network(small_variant(), seed=2).state_dict()
    assert not torch.equal(a.state_dict()["head.out_pose.0.weight"], other["head.out_pose.0.weight"])
