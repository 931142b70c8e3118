"""Counting by parts is counting networks whole, and no part is counted twice."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import product
from typing import Any

import pytest

from tests.small import small_variant
from workbench.components.backbones.stdc import STDC
from workbench.components.backbones.timm_backbone import TimmBackbone
from workbench.components.coords.regression import Regression
from workbench.components.losses.varifocal import VariFocal
from workbench.components.necks.pafpn import PAFPN
from workbench.inference import cost, part_counts
from workbench.inference.part_counts import PartCounter
from workbench.models.job import Job, Protocol
from workbench.models.variant import Variant
from workbench.models.zoo import REGRESSION, SIZES, nano, rtmo

SIZE = (640, 640)


def changed() -> Iterator[Variant]:
    """Every option of a slot once, and some together, on a network of few layers; two published ones whole."""
    base = nano()
    yield from map(rtmo, "tm")
    for changes in (
        {"backbone": STDC(size="1")},
        {"backbone": STDC(size="nano"), "neck": PAFPN()},
        {"backbone": TimmBackbone(name="mobilenetv4_conv_small")},
        {"backbone.width": SIZES["m"].width, "neck": PAFPN(width=0.5, depth=0.0)},
        {"neck.transformer_encoder_layers": 0},
        {"neck.transformer_encoder_layers": 2, "neck.depth": 0.0},
        {"neck.strides": (8, 16, 32)},
        {"coords.num_bins": (48, 64)},
        {**REGRESSION, "neck.strides": (8, 16, 32)},
    ):
        yield base.vary(changes)


@pytest.mark.soak
@pytest.mark.timeout(600)
def test_the_sum_of_the_parts_is_the_cost_of_the_network_to_the_unit() -> None:
    counter = PartCounter(SIZE)
    for variant in changed():
        found = counter.count(variant)
        assert found.flops == cost.flops(variant, SIZE, counter="torch"), variant
        assert found.params == cost.parameters(variant)["total"], variant


@pytest.mark.slow
@pytest.mark.parametrize("persons", [1, 10])
def test_it_holds_for_other_sizes_and_persons(persons: int) -> None:
    for variant, size in ((small_variant(), (64, 96)), (small_variant(), (96, 96)), (nano(), (64, 96))):
        whole = cost.flops(variant, size, persons, counter="torch")
        assert PartCounter(size, persons).count(variant).flops == whole


def test_a_part_that_networks_share_is_counted_once(monkeypatch: pytest.MonkeyPatch) -> None:
    counted, count = list[object](), part_counts.multiply_adds

    def counting(*given: Any, **options: Any) -> int:
        counted.append(given[0])
        return count(*given, **options)

    monkeypatch.setattr(part_counts, "multiply_adds", counting)
    counter, base = PartCounter((64, 64)), small_variant()
    changes = [{"neck.transformer_encoder_layers": n} for n in (0, 1)], [{}, REGRESSION]
    found = [counter.count(base.vary(a).vary(b)) for a, b in product(*changes)]
    assert len(counted) == 1 + 2 + 2 + 2, "a backbone, two necks, two heads (one reads out key points), two stages"
    assert len({(one.params, one.flops) for one in found}) == 4
    assert found[0] == counter.count(base.vary(changes[0][0])) and len(counted) == 7
    assert isinstance(base.vary(REGRESSION).coords, Regression)


@pytest.mark.slow
def test_the_jobs_of_a_process_share_what_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    counted, count = list[object](), part_counts.multiply_adds

    def counting(*given: Any, **options: Any) -> int:
        counted.append(given[0])
        return count(*given, **options)

    monkeypatch.setattr(part_counts, "multiply_adds", counting)
    part_counts.cached_counter.cache_clear()
    size, dcc = (32, 32), replace(small_variant(), losses=(VariFocal(),))
    for variant in (dcc, dcc.vary({"coords.num_bins": (48, 64)})):
        assert part_counts.cost_metrics(Job(variant=variant, protocol=Protocol(size=size))) == {
            "params": cost.parameters(variant)["total"],
            "gflops": cost.flops(variant, size, 10, counter="torch").total / 1e9,
        }
    assert len(counted) == 4 + 1, "four parts, and the coordinate stage of the second"
