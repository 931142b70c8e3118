"""Spaces and searches: what can be chosen, what it builds, and what is refused before anything runs."""

from collections.abc import Mapping
from functools import partial
from typing import Any

import pytest

from workbench.components.necks.pafpn import PAFPN
from workbench.core.errors import Refused
from workbench.experiments.protocols import PROTOCOLS
from workbench.models.variant import Variant
from workbench.models.zoo import REGRESSION, nano, rtmo
from workbench.space import Factor, Search, Space
from workbench.study import Row, Study, find_study

NECK = Factor("neck", {"hybrid": {}, "pafpn": {"neck": PAFPN()}})
LAYERS = Factor("layers", {n: {"neck.transformer_encoder_layers": n} for n in (0, 2)}, when={"neck": ("hybrid",)})
DEPTH = Factor("depth", {d: {"neck.depth": d} for d in (0.33, 0.0)})


def search(*factors: Factor, **given: Any) -> Search:
    return Search("x", "?", "a test", nano(), factors or (NECK, LAYERS, DEPTH), **given)


# ------------------------------------------------------------------------------------------------------------- spaces


def test_a_space_has_every_combination_once_the_last_factor_fastest() -> None:
    space = search().space
    assert [one.text for one in space.candidates] == [
        "hybrid layers 0, depth 0.33",
        "hybrid layers 0, depth 0.0",
        "hybrid layers 2, depth 0.33",
        "hybrid layers 2, depth 0.0",
        "pafpn, depth 0.33",
        "pafpn, depth 0.0",
    ]
    assert len(space) == 6 and len({one.digest for one in space.candidates}) == 6
    assert space.candidates[4].pairs == (("neck", "pafpn"), ("depth", "0.33"))


def test_a_candidate_is_its_choices() -> None:
    """Whatever its options do: an option that is added leaves all others as they are."""
    more = Space((NECK, LAYERS, Factor("depth", {**DEPTH.options, 0.67: {}})))
    for one in search().space.candidates:
        assert more.candidate(one.pairs) == one and more.candidate(dict(one.pairs)).digest == one.digest
    assert search().space.candidates[0].digest == "8f9da7ffcb60"  # in any process
    for wrong in ({"neck": "pafpn"}, {"neck": "pafpn", "layers": "0", "depth": "0.0"}, {"neck": "x", "depth": "0.0"}):
        with pytest.raises(Refused, match="no candidate"):
            more.candidate(wrong)


def test_features_are_ones_where_options_are() -> None:
    space = search().space
    features = space.features(space.candidates)
    assert space.columns[:3] == (("neck", "hybrid"), ("neck", "pafpn"), ("layers", "0"))
    assert features.shape == (6, 6) and features[0].tolist() == [1, 0, 1, 0, 1, 0]
    assert features.sum(1).tolist() == [3, 3, 3, 3, 2, 2]


def test_the_changes_of_a_candidate_are_those_of_its_options() -> None:
    """What replaces a part comes first, wherever its factor stands."""
    asked = search(DEPTH, NECK)
    made = asked.variant(asked.space.candidate({"depth": "0.0", "neck": "pafpn"}))
    assert made.neck == PAFPN(depth=0.0)


def test_an_option_may_follow_the_scaled_base() -> None:
    def wider(base: Variant) -> Mapping[str, Any]:
        return {"neck": PAFPN(out_channels=2 * int(dict(base.neck.flat())["out_channels"]))}  # pyright: ignore

    asked = Search("x", "?", "a test", rtmo("s"), (Factor("neck", {"own": {}, "wide": wider}),))
    wide = asked.space.candidates[1]
    channels = [
        asked.variant(wide, scale).neck.to_dict(defaults=True)["out_channels"]
        for scale in ({}, PROTOCOLS["short"].scale)
    ]
    assert channels == [512, 256]


# ----------------------------------------------------------------------------------------------------------- refusals


def broken(base: Variant) -> Mapping[str, Any]:
    assert base.num_classes == 2
    return {}


WRONG = [
    ((), {}, "no factors, so the space is empty"),
    ((DEPTH, DEPTH), {}, "factors .* are not unique"),
    ((LAYERS, NECK), {}, "factor 'layers': when names 'neck'; the factors before it are \\[\\]"),
    ((NECK, Factor("b", {"x": {}}, {"neck": ("fpn",)})), {}, "'b': when names neck 'fpn'; it has .*pafpn"),
    ((NECK, LAYERS, Factor("b", {"x": {}}, {"layers": ("0",), "neck": ("pafpn",)})), {}, "never comes"),
    ((Factor("a", {"x": {}, "y": {"nek.depth": 1.0}}),), {}, "factor 'a', option 'y' .*'nek.depth': Variant has no"),
    ((Factor("a", {"x": {}, "y": {"protocol.augment.main.Mosai": None}}),), {}, "factor 'a', option 'y' .*no 'Mosai'"),
    (
        (NECK, Factor("a", {"x": {}, "y": {"coords.num_bins": (1, 1)}})),
        {},
        "option 'y' can be built with no other: DCC.num_bins",
    ),
    ((Factor("a", {"x": {}, "y": broken}),), {}, "factor 'a', option 'y': the function of its changes does not fit"),
    ((DEPTH, Factor("deep", {"x": {}, "y": {"neck.depth": 0.67}})), {}, "'depth' .*'deep' .* both set 'neck.depth'"),
    ((NECK, DEPTH), {"up": "speed"}, "up='speed' is not measured; training gives AP"),
    ((NECK, DEPTH), {"down": "watts"}, "down: 'watts' is no cost; there are gflops, params, ms"),
    ((NECK, DEPTH), {"down": "ms"}, "down='ms': time is measured only of what is proposed; limit it: --max ms=1.2"),
    ((NECK, DEPTH), {"limits": {"watt": 3.0}}, "limits: 'watt' is no cost"),
    ((NECK, DEPTH), {"limits": {"ms": 0.0}}, "limits: ms 0.0: must be above 0"),
    ((NECK, DEPTH), {"rungs": (0.5, 0.2, 1.0)}, "expected .1.0,., or one part of the training before it"),
    ((NECK, DEPTH), {"rungs": (0.2,)}, "one part of the training before it"),
    (
        (NECK, DEPTH),
        {"published": {"N": {"width": 2}}},
        "published 'N': .*width.* is no choice of the space; options",
    ),
    ((NECK, LAYERS), {"published": {"N": {"neck": "pafpn", "layers": 2}}}, "published 'N': .* can not be chosen tog"),
    ((NECK, DEPTH), {"published": {"N": {}, "M": {"depth": 0.33}}}, "published .*'N', 'M'.*: two of them are one"),
]


@pytest.mark.parametrize(("factors", "given", "said"), WRONG, ids=[said[:40] for _, _, said in WRONG])
def test_what_can_not_be_searched_is_refused(factors: tuple[Factor, ...], given: dict[str, Any], said: str) -> None:
    with pytest.raises(Refused, match=f"search x: .*{said}"):
        Search("x", "?", "a test", nano(), factors, **given)


def test_a_factor_that_is_none_is_refused() -> None:
    for options, when, said in (
        ({}, {}, "has no options"),
        ({0: {}, "0": {}}, {}, "labels .* are not unique"),
        ({"x": {}}, {"neck": "hybrid"}, r"expected a tuple, as \('hybrid',\)"),
    ):
        with pytest.raises(Refused, match=said):
            Factor("a", options, when)  # pyright: ignore[reportArgumentType]


def test_a_space_too_large_to_be_priced_is_refused() -> None:
    with pytest.raises(Refused, match="more than 100,000 candidates"):
        Space(tuple(Factor(name, {n: {} for n in range(10)}) for name in "abcdef"))


def test_an_option_that_only_some_others_rule_out_is_kept() -> None:
    """Its bad combinations are impossible candidates, which a search finds out one by one."""
    asked = search(NECK, Factor("layers", {1: {}, 2: {"neck.transformer_encoder_layers": 2}}))
    assert len(asked.space) == 4
    with pytest.raises(Refused, match=r"pafpn, layers 2: .*PAFPN has no"):
        asked.planned(asked.space.candidates[3], PROTOCOLS["short"])


# --------------------------------------------------------------------------------------------------------------- jobs


def test_a_candidate_has_the_job_of_a_row_with_its_variant() -> None:
    asked, short = search(), PROTOCOLS["short"]
    study = Study("y", "?", "a test", nano(), (Row("two", {"neck.transformer_encoder_layers": 2, "neck.depth": 0.0}),))
    (planned,) = study.planned_jobs(short, 1, {"recipe.lr": 0.5}, first_seed=4)
    mine = asked.planned(asked.space.candidates[3], short, 4, {"recipe.lr": 0.5})
    assert mine.job.key == planned.job.key and mine.title == "hybrid layers 2, depth 0.0, seed 4"
    rows = tuple(map(asked.as_row, asked.space.candidates))
    jobs = Study("z", "?", "a test", nano(), rows).planned_jobs(short, 1)
    assert [one.job.key for one in jobs] == [asked.planned(one, short).job.key for one in asked.space.candidates]


def test_a_protocol_without_whole_networks_is_refused() -> None:
    for name in ("probe", "fork", "thaw", "cost"):
        with pytest.raises(Refused, match=rf"protocol {name} does not train whole networks .*use --protocol short"):
            search().planned(search().space.candidates[0], PROTOCOLS[name])


def test_a_published_network_is_its_choices_and_the_first_options() -> None:
    asked = search(published={"N": {"layers": 2}, "M": {"neck": "pafpn", "depth": "0.0"}})
    assert {one.text: name for one, name in asked.landmarks.items()} == {
        "hybrid layers 2, depth 0.33": "N",
        "pafpn, depth 0.0": "M",
    }


def test_regression_and_bins_never_meet() -> None:
    coords = Factor("coords", {"dcc": {}, "regression": REGRESSION})
    bins = Factor("bins", {n: {"coords.num_bins": (n, n)} for n in (48, 96)}, when={"coords": ("dcc",)})
    assert [one.text for one in search(coords, bins).space.candidates] == ["dcc bins 48", "dcc bins 96", "regression"]


@pytest.mark.slow
def test_the_shipped_search_builds_384_networks() -> None:
    """Under the published base and under `short`; what other studies have trained counts at once."""
    asked = find_study("search_rtmo")
    assert isinstance(asked, Search) and len(asked.space) == 384
    for scale in ({}, PROTOCOLS["short"].scale):
        assert len({asked.variant(one, scale).key for one in asked.space.candidates}) == 384
    named = {name: asked.variant(one) for one, name in asked.landmarks.items()}
    assert named["RTMO-s"] == rtmo("s") and len(named) == 3
    assert all(named[f"RTMO-s, backbone of {size}"].backbone == rtmo(size).backbone for size in "tm")
    short = PROTOCOLS["short"]
    keys = {asked.planned(one, short).job.key for one in asked.space.candidates}
    for name, least in (("compare_backbones", 6), ("ablate_neck", 4), ("ablate_levels", 2)):
        study = find_study(name)
        assert isinstance(study, Study)
        assert len(keys & {one.job.key for one in study.planned_jobs(short, 1)}) >= least, name


def test_partial_changes_are_kept_apart() -> None:
    def of(n: int, base: Variant) -> Mapping[str, Any]:
        return {"neck.transformer_encoder_layers": n}

    asked = search(Factor("layers", {n: partial(of, n) for n in (0, 1, 2)}))
    assert [
        asked.variant(one).neck.to_dict().get("transformer_encoder_layers", 1) for one in asked.space.candidates
    ] == [
        0,
        1,
        2,
    ]
