"""Prices: what is counted, what is timed and what is left out; and jobs that are one computation."""

import math
from collections.abc import Mapping
from functools import cache

import pytest

from tests.small import small_job, small_variant
from workbench.core.errors import Refused
from workbench.experiments.search import pricing
from workbench.experiments.search.pricing import (
    NEAR,
    Price,
    Timed,
    Twins,
    check_admits,
    counted,
    predicted,
    priced,
    ratio_to,
)
from workbench.inference import cost
from workbench.inference.part_counts import PartCounter
from workbench.inference.timing import Patience
from workbench.models.variant import Variant

SIZE = (64, 64)
LAYERS = {f"{n} layers": small_variant(**{"neck.transformer_encoder_layers": n}) for n in range(6)}


COUNTER = cache(PartCounter)  # each part is built and counted once for all tests here: it takes seconds


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pricing, "SIZE", SIZE)
    monkeypatch.setattr(pricing, "PartCounter", COUNTER)


def gflops() -> list[float]:
    return [price.gflops for price in counted(LAYERS).values()]


@pytest.mark.slow
def test_every_candidate_is_counted_and_told_which_limit_it_breaks() -> None:
    counts = gflops()
    assert counts == sorted(set(counts))
    first = LAYERS["0 layers"]
    assert counts[0] == cost.flops(first, SIZE, counter="torch").total / 1e9
    params = float(cost.parameters(first)["total"])
    found = counted(LAYERS, {"gflops": counts[2], "params": params})
    assert [price.admitted for price in found.values()] == [True] + [False] * 5
    assert found["0 layers"].params == params and math.isnan(found["0 layers"].ms)
    assert [len(price.over) for price in found.values()] == [0, 1, 1, 2, 2, 2]
    assert found["3 layers"].over[1] == f"gflops {counts[3]:.4g}, at most {counts[2]:g}"


@pytest.mark.parametrize(
    ("limits", "said"),
    [
        ({"watts": 3.0}, r"--max watts=3: watts is not measured .* there are params .*, gflops .*, ms \(times the ref"),
        ({"gflops": 0.0}, "--max gflops=0: expected a number above 0"),
        ({"gflops": math.nan}, "expected a number above 0"),
    ],
)
def test_a_limit_on_what_is_not_priced_is_refused(limits: Mapping[str, float], said: str) -> None:
    with pytest.raises(Refused, match=said):
        counted({}, limits)


@pytest.mark.slow
def test_limits_that_nobody_meets_are_refused_and_the_cheapest_is_named() -> None:
    limits = {"gflops": 1e-9}
    with pytest.raises(Refused, match=r"no candidate meets --max gflops=1e-09, where 0 layers is the cheapest with "):
        check_admits(counted(LAYERS, limits), limits)
    with pytest.raises(Refused, match="none of 1 candidates can be built: maps do not fit"):
        check_admits({"a": Price(impossible="maps do not fit")}, {})
    check_admits(counted(LAYERS), {})


@pytest.mark.slow
def test_what_can_not_be_built_is_said_and_hinders_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    count = PartCounter.count

    def refusing(counter: PartCounter, variant: Variant) -> object:
        if variant == LAYERS["1 layers"]:
            raise Refused("maps do not fit")
        return count(counter, variant)

    monkeypatch.setattr(PartCounter, "count", refusing)
    found = counted(LAYERS)
    assert found.pop("1 layers") == Price(impossible="maps do not fit") != found["0 layers"]
    assert all(price.admitted for price in found.values())


@pytest.mark.slow
def test_only_what_may_meet_a_limit_on_time_is_timed_and_only_once() -> None:
    """Time grows with the multiply-adds here."""
    counts, asked, times = gflops(), list[str](), dict[str, Timed]()
    true = dict(zip((v.key for v in LAYERS.values()), (1.0, 1.1, 1.22, 1.3, 1.4, 1.5), strict=True))

    def ratio(variant: Variant) -> float:
        asked.append(variant.key)
        return true[variant.key]

    found = priced(LAYERS, {"ms": 1.2}, times, ratio)
    assert [price.measured for price in found.values()] == [True, True, True, True, False, False]
    assert [price.admitted for price in found.values()] == [True, True] + [False] * 4
    assert found["2 layers"].over == ("ms 1.22 as measured, at most 1.2",), "near the limit, so timed"
    assert found["5 layers"].ms > NEAR * 1.2 and "as predicted" in found["5 layers"].over[0]
    assert asked == [v.key for v in list(LAYERS.values())[:4]] and set(times) == set(asked)
    again = priced(LAYERS, {"ms": 1.2}, times, ratio)
    assert again == found and len(asked) == 4
    few = priced(LAYERS, {"ms": 1.2, "gflops": counts[0]}, {}, ratio)
    assert len(asked) == 5 and math.isnan(few["1 layers"].ms), "what is over another limit is not timed"


def test_the_line_goes_through_what_was_timed() -> None:
    times = {str(g): Timed(float(g), 0.5 + 0.1 * g) for g in (1, 2, 5)}
    assert predicted(10.0, times) == pytest.approx(1.5)
    assert math.isnan(predicted(10.0, {}))
    assert predicted(10.0, {str(i): Timed(1.0, 2.0) for i in range(3)}) == 2.0


@pytest.mark.slow
def test_a_network_takes_its_own_time() -> None:
    ratio = ratio_to(small_variant(), Patience(seconds=2.0, rounds=10, most=20))
    assert 0.5 < ratio(small_variant()) < 2


@pytest.mark.slow
def test_jobs_that_compute_the_same_are_found_before_they_are_trained() -> None:
    twins, base = Twins(), small_job()
    assert twins.earlier("base", base) == ""
    assert twins.earlier("again", base.vary({"seed": 3})) == "base", "the seed is chance"
    assert twins.earlier("padding", base.vary({"variant.coords.padding": 1.5})) == "", "of one price, not the same"
    unread = base.vary({"variant.neck.transformer_encoder_layers": 0})
    assert twins.earlier("no layer", unread) == ""
    more = {"variant.neck.transformer_feedforward_channels": 24}
    assert twins.earlier("wide no layer", unread.vary(more)) == "no layer", "a width of what is not there"
    assert twins.earlier("wide", base.vary(more)) == ""
    assert twins.earlier("loss", base.vary({"variant.losses.OKS.weights": (1.0, 1.0, 1.0)})) == ""
