"""What does the hybrid encoder earn? Layers of its transformer, depth of its CSP layers, and PAFPN in its place.

Run:   nox -s study -- ablate_neck                        (from scratch, under-trained, under 45 minutes on 2 cores)
       nox -s study -- ablate_neck --protocol laptop      (hours)

The claims are ours: no published one is known here. One layer was ahead of none by 0.2 AP in a first run, which no
number of seeds would show to be more than 0: N1 asks whether it is less than 1 AP. The PAFPN is YOLOX's own for the
backbone of the protocol: as wide as the backbone, and as deep and with the same output as the encoder that it stands in
for.
"""

from collections.abc import Mapping
from typing import Any

from workbench.components.backbones.csp_darknet import CSPDarknet
from workbench.components.necks.hybrid_encoder import HybridEncoder
from workbench.components.necks.pafpn import PAFPN
from workbench.presets import RTMO_S, rtmo
from workbench.study import Better, Cheaper, Row, Study, Variant

BASE, NO_LAYER, OTHER = "1 layer, depth 0.33 (RTMO)", "0 layers", "PAFPN"


def pafpn(base: Variant) -> Mapping[str, Any]:
    """Sized after what it replaces."""
    assert isinstance(base.backbone, CSPDarknet) and isinstance(base.neck, HybridEncoder)
    return {"neck": PAFPN(width=base.backbone.width, depth=base.neck.depth, out_channels=base.neck.out_channels)}


STUDY = Study(
    name="ablate_neck",
    question="Do the transformer layer and the deeper CSP layers of the neck pay?",
    source="RTMO, arXiv 2312.07526, whose neck is RT-DETR's (arXiv 2304.08069)",
    base=rtmo("s"),
    rows=(
        Row(BASE, cited=RTMO_S),
        Row(NO_LAYER, {"neck.transformer_encoder_layers": 0}),
        Row("2 layers", {"neck.transformer_encoder_layers": 2}),
        Row("3 layers", {"neck.transformer_encoder_layers": 3}),
        Row("depth 0", {"neck.depth": 0.0}),
        Row("depth 0.67", {"neck.depth": 0.67}),
        Row(OTHER, pafpn),
    ),
    claims=(
        Better("N1", "no layer loses less than 1 AP to one", NO_LAYER, BASE, margin=-0.01, from_scratch=True),
        Better("N2", "the hybrid encoder beats PAFPN", BASE, OTHER, from_scratch=True),
    ),
    costs=(
        Cheaper("N3", "the transformer layer adds less than 5 % of latency", BASE, NO_LAYER, times=1.05),
        Cheaper("N4", "the hybrid encoder takes no more time than PAFPN", BASE, OTHER),
    ),
    default="short",
    whole="the rows change the neck, which a frozen trunk computes",
)
