"""Stages beside the network's own one: they begin and answer as they would alone, and move nothing but themselves."""

from dataclasses import replace

import pytest
import torch

from tests.components.coords.stages import some_cells
from workbench.components.coords.dcc import DCC
from workbench.components.coords.online_probes import OnlineProbes
from workbench.components.coords.regression import Regression

SMALL = DCC(feat_channels_dcc=8, num_bins=(12, 16), spe_channels=8, gau_s=8)
STATIC = SMALL.vary({"dynamic_encoding": False, "cell_position": True})


def test_every_stage_begins_and_answers_as_it_would_alone() -> None:
    cells = some_cells(3)
    torch.manual_seed(5)
    out = OnlineProbes(own=Regression(), probes=(SMALL, STATIC)).build(6, 5)(cells)
    assert cells.proxy is not None and torch.equal(out.keypoints, cells.proxy)
    for spec, probe in zip((SMALL, STATIC), out.probes, strict=True):
        torch.manual_seed(5)
        assert torch.equal(spec.build(6, 5)(cells).keypoints, probe.keypoints)


def test_probes_move_neither_pose_vectors_nor_boxes_nor_each_other() -> None:
    cells = some_cells(3)
    cells = replace(cells, pose=cells.pose.requires_grad_(), boxes=cells.boxes.requires_grad_())
    stage = OnlineProbes(own=SMALL, probes=(SMALL, STATIC)).build(6, 5)
    stage(cells).probes[1].keypoints.sum().backward()
    assert cells.pose.grad is None and cells.boxes.grad is None
    moved = {name.split(".")[0] + name.split(".")[1] for name, p in stage.named_parameters() if p.grad is not None}
    assert moved == {"probes1"}
    assert [id(module) for module in stage.apart] == [id(module) for module in stage.get_submodule("probes").children()]


@pytest.mark.parametrize("own", [Regression(), SMALL])
def test_it_offers_what_its_own_stage_does_and_its_probes(own: Regression | DCC) -> None:
    spec = OnlineProbes(own=own)
    assert spec.offers == own.offers | {"probes"} and spec.reads_proxy == own.reads_proxy
    stage, cells = spec.build(6, 5).eval(), some_cells(2)
    torch.testing.assert_close(stage.decode(cells), stage.get_submodule("own").decode(cells))  # pyright: ignore[reportCallIssue]
