"""The dense head: published names and counts, golden numbers, and the contract of the slot."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.recorded import COUNTS, close, golden, weights
from workbench.components.heads.rtmo_head import RTMOHead
from workbench.core.errors import Refused
from workbench.slots import DenseHead, Outputs
from workbench.tensors import Level
from workbench.testing import SPEC_CONTRACTS, contract_tests, random_maps

SIZES = {"t": (0.375, 192), "s": (0.5, 256), "m": (0.75, 384), "l": (1.0, 512)}


LEVELS = (Level(16, 16), Level(16, 32))


def small(**changes: Any) -> RTMOHead:
    return RTMOHead(**({"width": 0.125, "pose_vec_channels": 12} | changes))


def parts(out: Outputs) -> dict[str, Tensor]:
    read = {"cls": out.cls, "box": out.box, "proxy": out.proxy, "vis": out.vis, "pose": out.pose}
    return {k: v for k, v in read.items() if v is not None}


@pytest.mark.parametrize("size", [*SIZES, "s_crowd", "m_crowd", "l_crowd"])
def test_counts(size: str) -> None:
    width, pose = SIZES[size[0]]
    keypoints = 14 if size.endswith("crowd") else 17
    with torch.device("meta"):
        head = RTMOHead(width=width, pose_vec_channels=pose).build((Level(pose, 16), Level(pose, 32)), 1, keypoints)
    assert sum(p.numel() for p in head.parameters()) == COUNTS[size]["head_module"]
    only = sum(p.numel() for n, p in head.named_parameters() if n.startswith("out_kpt_reg"))
    assert only == COUNTS[size]["head_module_reg_only"]


def golden_head() -> DenseHead:
    levels = (Level(64, 16), Level(64, 32))
    head = RTMOHead(width=0.125, pose_vec_channels=40).build(levels, 1, 17).eval()
    head.load_state_dict(weights(golden("tiny/state_dict"), "head.head_module."))
    return head


@pytest.mark.parametrize("fmt", [torch.contiguous_format, torch.channels_last])
def test_golden(fmt: torch.memory_format) -> None:
    g = golden("tiny/inference")
    out = golden_head()([g[f"neck_p{i}"].contiguous(memory_format=fmt) for i in (4, 5)], proxy=True)
    published = {"cls": "cls", "box": "bbox", "proxy": "kpt_offset", "vis": "kpt_vis", "pose": "pose_vec"}
    for name, got in parts(out).items():
        want = [g[f"head_{published[name]}_s{s}"].flatten(2).transpose(1, 2) for s in (16, 32)]
        close(got, torch.cat(want, 1), what=name)


test_contracts = contract_tests(small(), RTMOHead(width=0.0625, stacked_convs=1), only=SPEC_CONTRACTS)


@pytest.mark.parametrize("keypoints", [5, 17])
def test_a_pose_vector_is_as_long_as_asked_for(keypoints: int) -> None:
    with torch.device("meta"):
        head = small().build(LEVELS, 3, keypoints)
        out = head([feats.to("meta") for feats in random_maps(LEVELS)], proxy=True)
    assert head.pose_channels == out.pose.shape[-1] == 12 and out.vis.shape[-1] == keypoints


def test_halves() -> None:
    """Reading stored towers gives what the whole gives; without the proxy only the regression branch is missing."""
    torch.manual_seed(0)
    head = small().build(LEVELS, 1, 17).eval()
    feats = random_maps(LEVELS)
    with torch.no_grad():
        whole, towers = head(feats, proxy=True), head.towers(feats)
        again, without = head.read(towers, proxy=True), head.read(towers, proxy=False)
    assert without.proxy is None
    for name, value in parts(whole).items():
        assert torch.equal(value, parts(again)[name])
        assert name == "proxy" or torch.equal(value, parts(without)[name])


def test_each_branch_reads_its_half_of_the_channels() -> None:
    torch.manual_seed(0)
    head = small().build(LEVELS, 1, 17).eval()
    feats = random_maps(LEVELS)
    first = [torch.cat((x[:, :8], torch.zeros_like(x[:, 8:])), 1) for x in feats]
    assert torch.equal(head(feats, False).cls, head(first, False).cls)
    assert not torch.equal(head(feats, False).pose, head(first, False).pose)


def test_initial_answers() -> None:
    head: Any = small().build(LEVELS, 2, 17)
    for level in range(2):
        torch.testing.assert_close(head.out_cls[level].bias, torch.full((2,), -math.log(99)))
        for out in (head.out_bbox, head.out_kpt_reg, head.out_kpt_vis, head.out_pose):
            assert not out[level].bias.any()
            assert out[level].weight.abs().max() <= 32**-0.5


def test_levels_too_thin_to_split_are_refused() -> None:
    with pytest.raises(Refused, match="2 or more channels"):
        RTMOHead().build((Level(1, 16),), 1, 17)


@pytest.mark.parametrize(
    ("name", "value"),
    [("stacked_convs", 0), ("stacked_convs", -1), ("width", 0.01), ("pose_vec_channels", 0), ("num_groups", 0)],
)
def test_a_value_out_of_range_is_refused(name: str, value: Any) -> None:
    with pytest.raises(Refused, match=rf"{name}.*expected at least 1"):
        RTMOHead(**{name: value})
