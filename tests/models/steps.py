"""A small network with wide settings, and batches for one training step of it."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from workbench.components.backbones.csp_darknet import CSPDarknet
from workbench.components.coords.dcc import DCC
from workbench.components.heads.rtmo_head import RTMOHead
from workbench.components.necks.hybrid_encoder import HybridEncoder
from workbench.models.network import Network
from workbench.models.variant import Variant
from workbench.tensors import Targets

SMALL: dict[str, Any] = {
    "backbone": CSPDarknet(width=0.125, depth=0.33),
    "neck": HybridEncoder(
        transformer_embed_dims=32,
        transformer_num_heads=2,
        transformer_feedforward_channels=32,
        width=0.25,
        out_channels=32,
    ),
    "head": RTMOHead(width=0.125, pose_vec_channels=16),
    "coords": DCC(feat_channels_dcc=16, num_bins=(12, 16), spe_channels=16, gau_s=16),
}
PHASES = (0, 1, 2)


def network(**changes: Any) -> Network:
    return Network(Variant().vary(SMALL | changes), seed=0).train()


def people(counts: tuple[int, ...], size: tuple[int, int] = (64, 64), keypoints: int = 17, classes: int = 1) -> Targets:
    """As many persons per image as `counts` says, spread over the image."""
    torch.manual_seed(1)
    shape = (len(counts), max(*counts, 1))
    height, width = size
    corner = torch.rand(*shape, 2) * torch.tensor([width - 40.0, height - 40.0])
    present = torch.arange(shape[1]) < torch.tensor(counts)[:, None]
    points = corner[:, :, None] + torch.rand(*shape, keypoints, 2) * 36
    return Targets(
        boxes=torch.cat([corner, corner + 38], -1) * present[..., None],
        keypoints=points * present[..., None, None],
        visible=torch.ones(*shape, keypoints) * present[..., None],
        areas=torch.full(shape, 700.0) * present,
        labels=torch.arange(shape[1]).expand(shape) % classes * present,
        keypoint_weights=torch.ones(*shape, keypoints),
        present=present,
    )


def images(batch: int, size: tuple[int, int] = (64, 64)) -> Tensor:
    torch.manual_seed(2)
    return torch.rand(batch, 3, *size) * 255
