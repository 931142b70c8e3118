"""Which network is best for its cost?  Run: nox -s study -- search_rtmo"""

from functools import partial

from studies.ablate_neck import pafpn
from studies.compare_backbones import csp, other
from workbench.components.backbones.stdc import STDC
from workbench.components.backbones.timm_backbone import TimmBackbone
from workbench.presets import REGRESSION, rtmo
from workbench.space import Factor, Search
from workbench.study import Variant

TIMM = {"mobilenetv4": "mobilenetv4_conv_small", "ghostnetv2": "ghostnetv2_100"}
STDCS = partial(other, STDC(size="1"), STDC(size="nano"))


def bins(divisor: int, base: Variant) -> dict[str, tuple[int, ...]]:
    return {"coords.num_bins": tuple(int(n) // divisor for n in str(dict(base.coords.flat())["num_bins"]).split())}


STUDY = Search(
    name="search_rtmo",
    question="Which backbone, neck, levels and coordinate stage give most AP for their multiply-adds?",
    source="ours: no published search of a one-stage pose estimator is known",
    base=rtmo("s"),
    factors=(
        Factor("backbone", {"csp": {}, "stdc": STDCS, **{k: {"backbone": TimmBackbone(name=TIMM[k])} for k in TIMM}}),
        Factor("size", {size: partial(csp, size) for size in "stm"}, when={"backbone": ("csp",)}),
        Factor("neck", {"hybrid": {}, "pafpn": pafpn}),
        Factor("layers", {n: {"neck.transformer_encoder_layers": n} for n in (1, 0, 2)}, when={"neck": ("hybrid",)}),
        Factor("depth", {d: {"neck.depth": d} for d in (0.33, 0.0)}),
        Factor("levels", {"P4+P5": {}, "P3+P4+P5": {"neck.strides": (8, 16, 32)}}),
        Factor("coords", {"dcc": {}, "regression": REGRESSION}),
        Factor("bins", {f"1/{n}": partial(bins, n) for n in (1, 2, 4)}, when={"coords": ("dcc",)}),
    ),
    published={"RTMO-s": {}, **{f"RTMO-s, backbone of {size}": {"size": size} for size in "tm"}},
    limits={"gflops": 16.0},  # of the published size at 640 px, whatever the protocol trains
    rungs=(0.2, 1.0),
)
