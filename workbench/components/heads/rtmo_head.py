"""The dense head of RTMO (arXiv 2312.07526), section 3.1: a class branch and a pose branch per level.

Half of a level's channels go to either branch. 1.16 M parameters and 1.14 G multiply-adds at 640 x 640 as published for
rtmo-s; the regression branch (`out_kpt_reg`) teaches the assigner and is computed only where it is asked for.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, final

import torch
from torch import Tensor, nn

from workbench.components.blocks import ConvUnit
from workbench.core.errors import Refused
from workbench.slots import DenseHead, Head, Outputs, Towers
from workbench.tensors import Levels

PRIOR = 0.01  # a cell's score before training


@final
@dataclass(frozen=True, kw_only=True)
class RTMOHead(Head):
    """`width` scales the channels of both branches; `pose_vec_channels` is the final number and not scaled.

    The pose branch has `num_groups` groups of `channels_per_group * width` channels and twice `stacked_convs`
    convolutions.
    """

    probed: ClassVar[tuple[str, ...]] = ("out_pose", "out_kpt_reg")

    width: float = 0.5
    cls_feat_channels: int = 256
    channels_per_group: int = 36
    num_groups: int = 8
    pose_vec_channels: int = 256
    stacked_convs: int = 2

    def check(self) -> None:
        scaled = int(self.width * min(self.cls_feat_channels, self.channels_per_group))
        if min(scaled, self.num_groups, self.pose_vec_channels, self.stacked_convs) < 1:
            raise Refused(
                f"RTMOHead: width {self.width}, cls_feat_channels {self.cls_feat_channels}, channels_per_group "
                f"{self.channels_per_group}, num_groups {self.num_groups}, pose_vec_channels {self.pose_vec_channels}, "
                f"stacked_convs {self.stacked_convs}: expected at least 1 of each after scaling by the width"
            )

    def build(self, levels: Levels, classes: int, keypoints: int) -> DenseHead:
        if not levels or min(level.channels for level in levels) < 2:
            raise Refused(f"RTMOHead: given {levels}; expected one or more levels of 2 or more channels")
        return _RTMOHead(self, levels, classes, keypoints)


class _RTMOHead(DenseHead):
    def __init__(self, spec: RTMOHead, levels: Levels, classes: int, keypoints: int) -> None:
        super().__init__()
        self.strides = tuple(level.stride for level in levels)
        self.pose_channels = spec.pose_vec_channels
        cls = int(spec.cls_feat_channels * spec.width)
        pose = int(spec.channels_per_group * spec.width) * spec.num_groups

        halves = [level.channels // 2 for level in levels]
        rests = [level.channels - half for level, half in zip(levels, halves, strict=True)]
        self.conv_cls = nn.ModuleList(_tower(c, cls, spec.stacked_convs) for c in halves)
        self.conv_pose = nn.ModuleList(_tower(c, pose, 2 * spec.stacked_convs, spec.num_groups) for c in rests)
        self.out_cls = _last(cls, classes, len(levels), bias=-math.log((1 - PRIOR) / PRIOR))
        self.out_bbox = _last(pose, 4, len(levels))
        self.out_kpt_reg = _last(pose, 2 * keypoints, len(levels))
        self.out_kpt_vis = _last(pose, keypoints, len(levels))
        self.out_pose = _last(pose, spec.pose_vec_channels, len(levels))

    def towers(self, feats: list[Tensor]) -> Towers:
        halves = [x.tensor_split((x.shape[1] // 2,), 1) for x in feats]
        return Towers(
            cls=[tower(x) for tower, (x, _) in zip(self.conv_cls, halves, strict=True)],
            pose=[tower(x) for tower, (_, x) in zip(self.conv_pose, halves, strict=True)],
        )

    def read(self, towers: Towers, proxy: bool) -> Outputs:
        return Outputs(
            cls=_read(self.out_cls, towers.cls),
            box=_read(self.out_bbox, towers.pose),
            proxy=_read(self.out_kpt_reg, towers.pose) if proxy else None,
            vis=_read(self.out_kpt_vis, towers.pose),
            pose=_read(self.out_pose, towers.pose),
        )


def _tower(inputs: int, outputs: int, convs: int, groups: int = 1) -> nn.Sequential:
    """3x3 units; the first mixes all channels, the others stay in their groups."""
    return nn.Sequential(
        ConvUnit(inputs, outputs, 3), *(ConvUnit(outputs, outputs, 3, groups=groups) for _ in range(convs - 1))
    )


def _last(inputs: int, outputs: int, levels: int, bias: float = 0.0) -> nn.ModuleList:
    convs = nn.ModuleList(nn.Conv2d(inputs, outputs, 1) for _ in range(levels))
    for conv in convs:
        assert isinstance(conv, nn.Conv2d) and conv.bias is not None
        nn.init.constant_(conv.bias, bias)
    return convs


def _read(convs: nn.ModuleList, feats: list[Tensor]) -> Tensor:
    """(B, C, H, W) per level -> (B, N, C'), cells of a level row-major."""
    return torch.cat([conv(x).flatten(2).transpose(1, 2) for conv, x in zip(convs, feats, strict=True)], 1)
