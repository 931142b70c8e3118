"""The tiny model that the reference recorded: as a variant, with its weights, and its recorded batches."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

import torch
from torch import Tensor

from tests.recorded import TINY, golden
from workbench.components.backbones.csp_darknet import CSPDarknet
from workbench.components.coords.dcc import DCC
from workbench.components.heads.rtmo_head import RTMOHead
from workbench.components.necks.hybrid_encoder import HybridEncoder
from workbench.models.network import Network, decoded
from workbench.models.published import load_published
from workbench.models.variant import Variant
from workbench.tensors import Dense


def tiny(**changes: Any) -> Variant:
    """The variant that golden/tiny/model_cfg.json describes."""
    cfg = json.loads((TINY / "model_cfg.json").read_text())
    neck, head, dcc = cfg["neck"], cfg["head"]["head_module_cfg"], cfg["head"]["dcc_cfg"]
    layer = neck["encoder_cfg"]
    variant = Variant(
        backbone=CSPDarknet(width=cfg["backbone"]["widen_factor"], depth=cfg["backbone"]["deepen_factor"]),
        neck=HybridEncoder(
            transformer_embed_dims=neck["hidden_dim"],
            transformer_num_heads=layer["self_attn_cfg"]["num_heads"],
            transformer_feedforward_channels=layer["ffn_cfg"]["feedforward_channels"],
            width=neck["widen_factor"],
            depth=neck["deepen_factor"],
            out_channels=neck["projector"]["out_channels"],
        ),
        head=RTMOHead(width=head["widen_factor"], pose_vec_channels=head["pose_vec_channels"]),
        coords=DCC(
            feat_channels_dcc=dcc["feat_channels"],
            num_bins=tuple(dcc["num_bins"]),
            spe_channels=dcc["spe_channels"],
            gau_s=dcc["gau_cfg"]["s"],
        ),
    )
    return variant.vary(changes)


def loaded(variant: Variant) -> Network:
    network = Network(variant, seed=0)
    load_published(network, TINY / "state_dict.npz")
    return network


def pixels(images: Tensor) -> Tensor:
    return images.permute(0, 3, 1, 2).float()


@cache
def inference() -> tuple[Network, Dense]:
    network = loaded(tiny()).eval()
    with torch.no_grad():
        towers = network.towers(pixels(golden("tiny/inference")["image_uint8_bgr_nhwc"]))
        outputs = network.head.read(towers, proxy=True)
    return network, decoded(outputs, [(8, 10), (4, 5)], (16, 32))
