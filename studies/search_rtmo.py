"""Which network is best for its cost?  Run: nox -s study -- search_rtmo"""

from collections.abc import Mapping
from functools import partial
from typing import Any

from studies.ablate_neck import pafpn
from studies.compare_backbones import csp, other
from workbench.components.backbones.stdc import STDC
from workbench.components.backbones.timm_backbone import TimmBackbone
from workbench.components.coords.dcc import DCC
from workbench.presets import REGRESSION, rtmo
from workbench.space import Factor, Search
from workbench.study import Variant

FOREIGN = {"mobilenetv4": "mobilenetv4_conv_small", "ghostnetv2": "ghostnetv2_100"}
BACKBONES = {
    "csp": {},
    "stdc": partial(other, STDC(size="1"), STDC(size="nano")),
    **{label: {"backbone": TimmBackbone(name=name)} for label, name in FOREIGN.items()},
}


def fewer_bins(divisor: int, base: Variant) -> Mapping[str, Any]:
    assert isinstance(base.coords, DCC)
    return {"coords.num_bins": tuple(bins // divisor for bins in base.coords.num_bins)}


STUDY = Search(
    name="search_rtmo",
    question="Which backbone, neck, levels and coordinate stage give most AP for their multiply-adds?",
    source="ours: no published search of a one-stage pose estimator is known",
    base=rtmo("s"),
    factors=(
        Factor("backbone", BACKBONES),
        Factor("size", {size: partial(csp, size) for size in "stm"}, when={"backbone": ("csp",)}),
        Factor("neck", {"hybrid": {}, "pafpn": pafpn}),
        Factor("layers", {n: {"neck.transformer_encoder_layers": n} for n in (1, 0, 2)}, when={"neck": ("hybrid",)}),
        Factor("depth", {d: {"neck.depth": d} for d in (0.33, 0.0)}),
        Factor("levels", {"P4+P5": {}, "P3+P4+P5": {"neck.strides": (8, 16, 32)}}),
        Factor("coords", {"dcc": {}, "regression": REGRESSION}),
        Factor("bins", {f"1/{n}": partial(fewer_bins, n) for n in (1, 2, 4)}, when={"coords": ("dcc",)}),
    ),
    down="gflops",  # of the published size at 640 px, whatever the protocol trains
    limits={"gflops": 16.0},
)
