"""Named variants and settings: the released models, the small one for laptops, and the protocols."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from workbench.components.backbones.csp_darknet import CSPDarknet
from workbench.components.backbones.stdc import STDC
from workbench.components.backbones.timm_backbone import TimmBackbone
from workbench.components.coords.box_heatmap import BoxHeatmap
from workbench.components.coords.dcc import DCC
from workbench.components.coords.regression import Regression
from workbench.components.heads.rtmo_head import RTMOHead
from workbench.components.losses.heatmap import Heatmap
from workbench.components.losses.proxy_l1 import ProxyL1
from workbench.components.necks.hybrid_encoder import HybridEncoder
from workbench.errors import Refused
from workbench.slots import Backbone
from workbench.study import Cited, Setting
from workbench.variant import Cosine, Job, Protocol, Recipe, Scale, Variant, Warmup

# Source: published configurations; w_f and d_f are the widen and deepen factors, D the pose vector's length.
RTMO_S = Cited(67.7, "COCO val2017, 600 epochs; mmpose @ 759b39c, projects/rtmo")
_SIZES = {"t": (0.375, 0.33, 192), "s": (0.5, 0.33, 256), "m": (0.75, 0.67, 384), "l": (1.0, 1.0, 512)}


def rtmo(size: str, keypoints: int = 17) -> Variant:
    """RTMO-t, -s, -m or -l as released, with the losses of its training (COCO for 17 key points, CrowdPose for 14).

    Raises:
        Refused: no such size.
    """
    if size not in _SIZES:
        raise Refused(f"no RTMO size {size!r}; there are {list(_SIZES)}")
    width, depth, pose = _SIZES[size]
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


CROWDPOSE_SCHEDULE = (
    Warmup(end=5 / 700),
    Cosine(start=5 / 700, end=349 / 700, period=350 / 700),
    Scale(start=349 / 700),
    Cosine(start=350 / 700, end=670 / 700, period=320 / 700),
)

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
NANO_RECIPE = Recipe(
    lr=1e-3,
    encoder_lr_scale=0.1,
    schedule=(Warmup(end=0.02), Cosine(start=0.02, end=1.0, period=1.0, floor=2e-5)),
)
_SCENES = Protocol(
    data="figures-easy",
    size=(96, 96),
    images=40_000,
    epoch_images=16_000,
    epochs=8,
    batch=32,
    eval_images=1_000,
    eval_every=1,
    score_threshold=0.02,
)


def nano() -> Variant:
    """RTMO cut down to train on a laptop at 96 pixels."""
    return Variant().vary(NANO)


NETWORKS: Mapping[str, Callable[[], Variant]] = {
    "nano": nano,
    **{f"rtmo-{size}": partial(rtmo, size) for size in _SIZES},
    **{f"rtmo-{size}-crowdpose": partial(rtmo, size, 14) for size in "sml"},
}
_STDC = {"stdcnano": STDC(size="nano"), "stdc1": STDC(size="1"), "stdc2": STDC(size="2")}


def named(name: str) -> Variant:
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


def _backbone(name: str) -> Backbone:
    return _STDC[name] if name in _STDC else TimmBackbone(name=name)


# What a probe stands on: three trunks that differ in objective and seed, 512,000 images each.
_NO_PROXY: Mapping[str, Any] = {"phases.1.proxy": False, "phases.2.proxy": False}
REGRESSION: Mapping[str, Any] = {
    "coords": Regression(),
    "losses.MLE": None,
    "losses.OKS.weights": (30.0, 30.0, 30.0),  # nothing else teaches the key points: the weight is not lowered
    **_NO_PROXY,
}
_HEATMAP: Mapping[str, Any] = {
    "coords": BoxHeatmap(),
    "losses.MLE": None,
    "losses.OKS": None,
    "losses.ProxyL1": None,
    "losses.Heatmap": Heatmap(weights=(5.0, 5.0, 5.0)),
    "assigner.dynamic_k": "iou",
    "assigner.overlap": "iou",
    "assigner.oks_weight": 0.0,
    **_NO_PROXY,
}


def trunk_jobs() -> dict[str, Job]:
    """The training of each trunk: regression only, jointly with the DCC, and neither (boxes, scores and heatmaps)."""
    protocol = replace(_SCENES, epochs=32, eval_every=4)
    return {
        name: Job(variant=nano().vary(changes), recipe=NANO_RECIPE, protocol=protocol, seed=seed)
        for seed, (name, changes) in enumerate({"regression": REGRESSION, "joint": {}, "heatmap": _HEATMAP}.items())
    }


# Frozen features: only what reads them is trained, so only the losses that reach it are computed.
_PROBE: Mapping[str, Any] = {
    **NANO,
    "losses.VariFocal": None,
    "losses.IoU": None,
    "losses.Visibility": None,
    "losses.BoxAux": None,
    # fewer positives, more steps in the same time
    "assigner.min_k": 1,
    "assigner.candidate_topk": 5,
    "phases.1.start": 0.25,
}
# The last quarter runs at a constant tenth of the first rate: what still learns shows it there.
_PROBE_RECIPE = replace(
    NANO_RECIPE,
    lr=2e-3,
    schedule=(Warmup(end=0.02), Cosine(start=0.02, end=0.75, period=0.73, floor=2e-4)),
)

SETTINGS: dict[str, Setting] = {
    setting.name: setting
    for setting in (
        Setting(
            "smoke",
            "a few steps of every row: proves that everything runs, says nothing of accuracy",
            replace(_SCENES, images=96, epoch_images=96, epochs=2, batch=16, eval_images=32, score_threshold=0.001),
            NANO_RECIPE,
            NANO,
            seeds=1,
        ),
        Setting(
            "probe",
            "every row trains its coordinate stage and its losses on the features of three frozen trunks",
            replace(_SCENES, images=16_000, first_image=1_000_000, epoch_images=6_400, epochs=16, eval_every=4),
            _PROBE_RECIPE,
            _PROBE,
            seeds=1,  # other seeds of a probe differ by a tenth of what other trunks do
            trunks=("regression", "joint", "heatmap"),
        ),
        Setting(
            "short",
            "every row from scratch, 24,000 easy scenes at 96 px, nano preset: under-trained",
            # epochs are short so that the last phase, the last 5 %, begins with one
            replace(_SCENES, epoch_images=1_216, epochs=20, eval_every=4),
            NANO_RECIPE,
            NANO,
            seeds=2,
        ),
        Setting(
            "laptop",
            "every row from scratch, 128,000 easy scenes at 96 px, nano preset",
            _SCENES,
            NANO_RECIPE,
            NANO,
            seeds=3,
        ),
        Setting(
            "proxy",
            "every row from scratch on one GPU, 512,000 hard scenes at 160 px, RTMO-t",
            replace(
                _SCENES,
                data="figures-hard",
                size=(160, 160),
                images=64_000,
                epoch_images=64_000,
                batch=128,
                eval_every=2,
            ),
            NANO_RECIPE,
            {
                "backbone": CSPDarknet(width=0.375, depth=0.33),
                "neck": HybridEncoder(width=0.375, depth=0.33, out_channels=192),
                "head": RTMOHead(width=0.375, pose_vec_channels=192),
                **{path: value for path, value in NANO.items() if path.startswith(("losses", "assigner", "phases"))},
            },
            seeds=2,
        ),
        Setting(
            "paper",
            "the published recipe unchanged: 600 epochs of COCO at 640 px, batch 256 over the GPUs at hand",
            Protocol(data="coco", sides=(480, 800), augment="rtmo"),
            seeds=1,
        ),
        Setting(
            "cost",
            "nothing is trained: every row is counted and timed side by side, at 640 px and published size",
            Protocol(data="none"),
            seeds=1,
            trains=False,
        ),
    )
}


def setting(name: str) -> Setting:
    """The protocol of that name.

    Raises:
        Refused: no such protocol.
    """
    if name not in SETTINGS:
        raise Refused(f"no protocol {name!r}; there are {list(SETTINGS)}")
    return SETTINGS[name]
