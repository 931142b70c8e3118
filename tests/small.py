"""The smallest network and job that still have every part: what tests train."""

from dataclasses import replace

from workbench.components.backbones.csp_darknet import CSPDarknet
from workbench.components.coords.dcc import DCC
from workbench.components.heads.rtmo_head import RTMOHead
from workbench.components.necks.hybrid_encoder import HybridEncoder
from workbench.experiments.protocols import NANO_RECIPE
from workbench.models.job import Job, Protocol
from workbench.models.variant import Variant
from workbench.models.zoo import NANO

SMALL = {
    **NANO,
    "backbone": CSPDarknet(width=0.125, depth=0.1),
    "neck": HybridEncoder(
        transformer_embed_dims=16,
        transformer_num_heads=2,
        transformer_feedforward_channels=16,
        width=0.5,
        depth=0.0,
        out_channels=32,
    ),
    "head": RTMOHead(width=0.06, pose_vec_channels=32),
    "coords": DCC(feat_channels_dcc=8, num_bins=(12, 16), spe_channels=8, gau_s=8),
}
SMALL_PROTOCOL = Protocol(
    data="figures-easy",
    size=(64, 64),
    images=24,
    epoch_images=16,
    epochs=3,
    batch=8,
    eval_images=8,
    eval_every=1,
    score_threshold=0.02,
)


def small_variant(**changes: object) -> Variant:
    return Variant().vary(SMALL).vary(changes)


def small_job(**protocol: object) -> Job:
    return Job(
        variant=small_variant(),
        recipe=NANO_RECIPE,
        protocol=replace(SMALL_PROTOCOL, **protocol),  # pyright: ignore[reportArgumentType]
    )
