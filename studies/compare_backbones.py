"""Do larger backbones trade latency for AP along one front? RTMO (arXiv 2312.07526) with eight backbones.

Run:   nox -s study -- compare_backbones                  (from scratch, under-trained, under 45 minutes on 2 cores)
       nox -s study -- compare_backbones --protocol cost  (minutes: counts and times the rows, trains nothing)

Every row changes the backbone alone; neck and head stay those of the protocol, while published sizes grow with neck and
head: their AP is no AP of these rows. Cost is exact: published backbones with the neck and head of RTMO-s at 640 px. AP
is of a small equal budget: where the protocol shrinks the base, CSPDarknet shrinks by the same factor, STDC and ResNet
are the smallest of their kind; MobileNetV4 and GhostNetV2 have one size. In a first run s led t by 0.6 AP and l m by
0.2, too little for any number of seeds: both are asked as margins.
"""

from collections.abc import Mapping
from functools import partial
from typing import Any

from workbench.components.backbones.csp_darknet import CSP_SIZES, CSPDarknet
from workbench.components.backbones.stdc import STDC
from workbench.components.backbones.timm_backbone import TimmBackbone
from workbench.presets import RTMO_S, rtmo
from workbench.slots import Backbone
from workbench.study import Better, Cheaper, Row, Study, Variant

STEPS = (("t", "s"), ("s", "m"), ("m", "l"))
ROW = {size: f"CSPDarknet {size}" for size in CSP_SIZES}


def csp(size: str, base: Variant) -> Mapping[str, Any]:
    """As much larger or smaller than the base's as `size` is than s."""
    assert isinstance(base.backbone, CSPDarknet)
    width, depth = (a / b for a, b in zip(CSP_SIZES[size], CSP_SIZES["s"], strict=True))
    return {"backbone.width": base.backbone.width * width, "backbone.depth": round(base.backbone.depth * depth, 6)}


def other(full: Backbone, small: Backbone, base: Variant) -> Mapping[str, Any]:
    """The small one where the protocol has changed the base."""
    return {"backbone": full if base.backbone == rtmo("s").backbone else small}


STUDY = Study(
    name="compare_backbones",
    question="Do larger backbones trade latency for AP along one front?",
    source="RTMO, arXiv 2312.07526: the authors' model zoo, where t, m and l differ in neck and head as well",
    base=rtmo("s"),
    rows=(
        *(Row(ROW[size], partial(csp, size), RTMO_S if size == "s" else None) for size in CSP_SIZES),
        Row("STDC", partial(other, STDC(size="1"), STDC(size="nano"))),
        Row("ResNet", partial(other, TimmBackbone(name="resnet18"), TimmBackbone(name="test_resnet"))),
        *(Row(name, {"backbone": TimmBackbone(name=name)}) for name in ("mobilenetv4_conv_small", "ghostnetv2_100")),
    ),
    claims=(
        Better("C7 AP, s", "t loses less than 1 AP to s", ROW["t"], ROW["s"], margin=-0.01, from_scratch=True),
        Better("C7 AP, m", "m beats s", ROW["m"], ROW["s"], from_scratch=True),
        Better("C7 AP, l", "m loses less than 1 AP to l", ROW["m"], ROW["l"], margin=-0.01, from_scratch=True),
    ),
    costs=tuple(Cheaper(f"C7 latency, {a}", f"{a} takes less time than {b}", ROW[a], ROW[b]) for a, b in STEPS),
    default="short",
    whole="the rows change the backbone, which a frozen trunk computes",
)
