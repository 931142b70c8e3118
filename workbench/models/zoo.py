"""Networks by name: the released models and their sizes, the small one for laptops, other backbones."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NamedTuple

from workbench.components.backbones.csp_darknet import CSP_SIZES, CSPDarknet
from workbench.components.backbones.stdc import STDC
from workbench.components.backbones.timm_backbone import TimmBackbone
from workbench.components.coords.dcc import DCC
from workbench.components.coords.regression import Regression
from workbench.components.heads.rtmo_head import RTMOHead
from workbench.components.losses.proxy_l1 import ProxyL1
from workbench.components.necks.hybrid_encoder import HybridEncoder
from workbench.core.errors import Refused
from workbench.models.variant import Variant
from workbench.slots import Backbone


class RTMOSize(NamedTuple):
    """Factors on the published channels (width) and blocks (depth), and the length of the pose vector."""

    width: float
    depth: float
    pose: int


_POSE = {"t": 192, "s": 256, "m": 384, "l": 512}
SIZES: Mapping[str, RTMOSize] = {name: RTMOSize(*CSP_SIZES[name], pose) for name, pose in _POSE.items()}


class Release(NamedTuple):
    """A released model: its size, its key points, height and width of its input, its file."""

    size: str
    keypoints: int
    side: int
    file: str


# The eight digits before a file's date begin its sha256.
RELEASED: Mapping[str, Release] = {
    "rtmo-t": Release("t", 17, 416, "rtmo-t_8xb32-600e_body7-416x416-f48f75cb_20231219.pth"),
    "rtmo-s-coco": Release("s", 17, 640, "rtmo-s_8xb32-600e_coco-640x640-8db55a59_20231211.pth"),
    "rtmo-m-coco": Release("m", 17, 640, "rtmo-m_16xb16-600e_coco-640x640-6f4e0306_20231211.pth"),
    "rtmo-l-coco": Release("l", 17, 640, "rtmo-l_16xb16-600e_coco-640x640-516a421f_20231211.pth"),
    "rtmo-s-crowdpose": Release("s", 14, 640, "rtmo-s_8xb32-700e_crowdpose-640x640-79f81c0d_20231211.pth"),
    "rtmo-m-crowdpose": Release("m", 14, 640, "rrtmo-m_16xb16-700e_crowdpose-640x640-0eaf670d_20231211.pth"),
    "rtmo-l-crowdpose": Release("l", 14, 640, "rtmo-l_16xb16-700e_crowdpose-640x640-1008211f_20231211.pth"),
}


def rtmo(size: str, keypoints: int = 17) -> Variant:
    """RTMO-t, -s, -m or -l as released, with the losses of its training (COCO for 17 key points, CrowdPose for 14).

    Raises:
        Refused: no such size.
    """
    if size not in SIZES:
        raise Refused(f"no RTMO size {size!r}; there are {list(SIZES)}")
    width, depth, pose = SIZES[size]
    crowd, small = keypoints == 14, size in "ts"
    changes: dict[str, Any] = {
        "backbone": CSPDarknet(width=width, depth=depth),
        "neck": HybridEncoder(width=width, depth=depth, out_channels=pose),
        "head": RTMOHead(width=width, pose_vec_channels=pose),
        "assigner.use_keypoints_for_center": small and not crowd,
        "num_keypoints": keypoints,
    }
    if crowd or not small:
        first = 0.001 if crowd else 0.01
        changes |= {"losses.MLE.weights": (first, 5.0, 5.0), "losses.VariFocal.weights": (1.0, 2.0, 2.0)}
        changes |= {"phases.1.overlaps_power": 1.0, "phases.2.overlaps_power": 1.0}
    if crowd:
        changes |= {"phases.1.start": 350 / 700, "phases.2.start": 669 / 700}
    return Variant().vary(changes)


# RTMO cut down for 96-pixel images: what the laptop protocols make of a base.
NANO: Mapping[str, Any] = {
    "backbone": CSPDarknet(width=0.25, depth=0.1),
    "neck": HybridEncoder(
        transformer_embed_dims=64,
        transformer_num_heads=4,
        transformer_feedforward_channels=128,
        width=0.5,
        depth=0.33,
        out_channels=128,
    ),
    "head": RTMOHead(width=0.25, pose_vec_channels=128),
    "coords": DCC(feat_channels_dcc=48, num_bins=(64, 96), spe_channels=32, gau_s=32),
    # from scratch the OKS loss hardly has a gradient far from the target; these two help every row alike
    "losses.ProxyL1": ProxyL1(weights=(2.0, 2.0, 2.0)),
    "assigner.min_k": 3,
    "phases.1.start": 0.5,
    "phases.2.start": 0.95,
}


# Scores and key points are then taught by the truth in all phases, whatever the coordinate stage knows by then.
NO_PROXY: Mapping[str, Any] = {"phases.1.proxy": False, "phases.2.proxy": False}
REGRESSION: Mapping[str, Any] = {
    "coords": Regression(),
    "losses.MLE": None,
    "losses.OKS.weights": (30.0, 30.0, 30.0),  # nothing else teaches the key points: the weight is not lowered
    **NO_PROXY,
}

NANO_SIDE = 96  # pixels


def nano() -> Variant:
    """RTMO cut down to train on a laptop at `NANO_SIDE` pixels."""
    return Variant().vary(NANO)


NETWORKS: Mapping[str, Callable[[], Variant]] = {
    "nano": nano,
    **{f"rtmo-{size}": partial(rtmo, size) for size in SIZES},
    **{f"rtmo-{size}-crowdpose": partial(rtmo, size, 14) for size in "sml"},
}
_STDC = {"stdcnano": STDC(size="nano"), "stdc1": STDC(size="1"), "stdc2": STDC(size="2")}


def network_named(name: str) -> Variant:
    """The variant that a person means: a name of `NETWORKS` (also with "_" for "-"), or BACKBONE-rtmo.

    BACKBONE-rtmo is RTMO-s with another backbone: "stdcnano", "stdc1", "stdc2", or a network of timm, as in
    "stdc1-rtmo" and "resnet50-rtmo".

    Raises:
        Refused: no such network.
    """
    if (preset := name.replace("_", "-")) in NETWORKS:
        return NETWORKS[preset]()
    backbone = name.removesuffix("-rtmo")
    why = ""
    if backbone != name:
        try:
            return rtmo("s").vary({"backbone": _backbone(backbone)})
        except Refused as error:
            why = f" ({error})"
    raise Refused(
        f"no network {name!r}{why}; there are {', '.join(NETWORKS)}, and BACKBONE-rtmo with {', '.join(_STDC)} or a "
        "name of timm.list_models(), as in resnet50-rtmo"
    )


def native_size(name: str) -> tuple[int, int]:
    """The size of input (height, width) that a network is made for: that of its release, 640 without one.

    Args:
        name: as `network_named` knows it.
    """
    preset = name.replace("_", "-")
    if preset == "nano":
        return NANO_SIDE, NANO_SIDE
    release = RELEASED.get(preset) or RELEASED.get(f"{preset}-coco")
    side = release.side if release else 640
    return side, side


def _backbone(name: str) -> Backbone:
    return _STDC[name] if name in _STDC else TimmBackbone(name=name)
