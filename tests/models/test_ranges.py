"""Values out of range are refused when a spec is declared, not when a job has started."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

import pytest
import torch

from tests.models.test_catalog import network_for, some_persons
from tests.small import SMALL
from workbench.components.backbones.csp_darknet import CSPDarknet
from workbench.components.coords.box_heatmap import BoxHeatmap
from workbench.components.coords.dcc import DCC
from workbench.components.heads.rtmo_head import RTMOHead
from workbench.components.losses.heatmap import Heatmap
from workbench.components.losses.kld import KLD
from workbench.components.losses.mle import MLE
from workbench.components.losses.varifocal import VariFocal
from workbench.components.necks.hybrid_encoder import HybridEncoder
from workbench.components.necks.pafpn import PAFPN
from workbench.components.segments.cosine import Cosine
from workbench.components.segments.scale import Scale
from workbench.components.segments.warmup import Warmup
from workbench.core.errors import Refused
from workbench.core.spec import Spec
from workbench.models import catalog
from workbench.models.criterion import losses
from workbench.models.job import Job, Protocol, Recipe
from workbench.models.network import Network, gather
from workbench.models.schedule import learning_rate
from workbench.models.variant import Phase, Variant
from workbench.slots import Coords, Loss, Segment


@pytest.mark.parametrize(
    ("cls", "name", "values"),
    [
        (Recipe, "lr", (-1.0, 0.0)),
        (Recipe, "encoder_lr_scale", (-0.1,)),
        (Recipe, "weight_decay", (-0.05,)),
        (Recipe, "clip", (0.0, -0.1)),
        (Recipe, "ema_momentum", (0.0, -1.0, 1.5)),
        (Recipe, "ema_gamma", (0.0, -2000.0)),
        (Protocol, "score_threshold", (-0.1, 1.0, 5.0)),
        (Protocol, "nms_threshold", (0.0, -0.65)),
        (Protocol, "size", ((0, 64), (64, -64), (100, 64))),
        (Protocol, "epochs", (0, -1)),
        (Job, "seed", (-1,)),
        (Phase, "overlaps_power", (-0.5,)),
        (Variant, "num_classes", (0, -1)),
        (Warmup, "end", (-0.1,)),
        (Cosine, "start", (-0.1, 0.9)),
        (Cosine, "period", (0.0, -1.0)),
        (Cosine, "floor", (-1e-4,)),
        (Scale, "start", (-0.1,)),
        (Scale, "factor", (-2.5,)),
        (CSPDarknet, "width", (0.0, -1.0, 0.01)),
        (CSPDarknet, "depth", (-0.33,)),
        (HybridEncoder, "strides", ((), (32, 16), (16, 16), (4, 8), (64,))),
        (HybridEncoder, "transformer_num_heads", (0, -8, 7)),
        (HybridEncoder, "transformer_dropout", (-0.1, 1.0)),
        (PAFPN, "strides", ((), (32, 16), (4,))),
        (RTMOHead, "stacked_convs", (0, -1)),
        (RTMOHead, "pose_vec_channels", (0,)),
        (DCC, "num_bins", ((0, 8), (8, 1), (-1, 8))),
        (DCC, "spe_channels", (0, 7, -2)),
        (DCC, "gau_dropout_rate", (-0.1, 1.0)),
        (DCC, "padding", (0.0, -1.0)),
        (BoxHeatmap, "grid", ((1, 9), (0, 0))),
        (VariFocal, "clip", (0.0, -10.0)),
        (KLD, "width", (0.0, -1.0)),
        (Heatmap, "width", (0.0, -1.0)),
        (MLE, "weights", ((1.0, -1.0, 1.0),)),
    ],
)
def test_a_value_out_of_range_is_refused_when_declared(cls: type[Spec], name: str, values: tuple[Any, ...]) -> None:
    for value in values:
        with pytest.raises(Refused, match=name):
            cls(**{name: value})


@pytest.mark.parametrize(
    ("cls", "off"),
    [
        (Recipe, {"encoder_lr_scale": 0.0, "weight_decay": 0.0, "schedule": (), "ema_momentum": 1.0}),
        (Protocol, {"score_threshold": 0.0, "nms_threshold": 1.0}),
        (Protocol, {"nms_threshold": 2.0, "images": 0, "epoch_images": 0, "eval_images": 0, "sides": (0, 0)}),
        (Phase, {"overlaps_power": 0.0}),
        (MLE, {"weights": (0.0, 0.0, 0.0)}),
        (HybridEncoder, {"transformer_encoder_layers": 0, "depth": 0.0}),
    ],
)
def test_what_switches_a_thing_off_is_no_fault(cls: type[Spec], off: dict[str, Any]) -> None:
    cls(**off)


def edges(spec: Spec) -> Iterator[Spec]:
    """The spec with each of its numbers at -1 and 0, as far as that is not refused."""
    for field in dataclasses.fields(spec):
        held = getattr(spec, field.name)
        for value in (-1, 0):
            if isinstance(held, tuple) and held and all(isinstance(v, int | float) for v in held):
                changes = [(*held[:i], value, *held[i + 1 :]) for i in range(len(held))]
            else:
                changes = [value] if isinstance(held, int | float) and not isinstance(held, bool) else []
            for change in changes:
                try:
                    yield dataclasses.replace(spec, **{field.name: change})
                except Refused:
                    continue


def every(*kinds: str) -> list[Any]:
    return [pytest.param(k, cls, id=cls.__name__) for k in kinds for cls in catalog.discover()[k].values()]


@pytest.mark.parametrize(("slot", "cls"), every("backbone", "neck", "head", "coords"))
def test_what_a_part_accepts_can_be_built_and_run(slot: str, cls: type[Spec]) -> None:
    """No number of a component is accepted and fails only when a job has started."""
    small = SMALL[slot] if isinstance(SMALL[slot], cls) else cls()
    parts = {name: SMALL[name] for name in ("backbone", "neck", "head", "coords")}
    phases = {f"phases.{i}.proxy": False for i in range(3)}
    for spec in edges(small):
        variant = Variant().vary({**parts, slot: spec, "losses": (), **phases})
        with torch.device("meta"):
            network = Network(variant)
            dense = network.train()(torch.empty(1, 3, 64, 64))
        assert dense.boxes.shape[-1] == 4, spec
    if slot == "coords":
        _run_stages(small)


def _run_stages(small: Spec) -> None:
    for spec in edges(small):
        assert isinstance(spec, Coords)
        dense = Network(Variant().vary({**SMALL, "losses": (), "coords": spec, "phases": (Phase(),)}), seed=0).eval()
        coords = dense.coords.decode(_cells(dense))
        assert coords.isfinite().all(), spec


def _cells(network: Network) -> Any:
    dense = network(torch.rand(1, 3, 64, 64) * 255, proxy=True)
    return gather(dense, torch.zeros(2, dtype=torch.int64), torch.arange(2))


@pytest.mark.parametrize(("kind", "cls"), every("losses", "assigner"))
def test_what_a_loss_or_an_assigner_accepts_gives_finite_terms(kind: str, cls: type[Spec]) -> None:
    targets = some_persons(2)
    for spec in edges(cls()):
        loss = spec if isinstance(spec, Loss) else VariFocal()
        network = network_for(loss).train()
        if kind == "assigner":
            network = Network(network.variant.vary({"assigner": spec}), seed=0).train()
        for phase in range(len(network.variant.phases)):
            terms = losses(network, network(torch.rand(2, 3, 64, 64) * 255), targets, phase)
            assert all(term.isfinite() for term in terms.values()), spec


@pytest.mark.parametrize(("kind", "cls"), every("schedule"))
def test_what_a_segment_accepts_gives_a_rate(kind: str, cls: type[Spec]) -> None:
    for spec in edges(cls()):
        assert isinstance(spec, Segment)
        assert all(0 <= learning_rate((spec,), 1e-3, step, 50) < 1 for step in range(50)), spec
