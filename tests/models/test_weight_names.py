"""Three programs' names of the same weights."""

from __future__ import annotations

import pytest

from workbench.models.weight_names import FOCOOS_SIGMAS, SIGMAS, Names, is_constant, names_of, our_name, published_name

PAIRS = {
    "head.out_cls.0.weight": "head.head_module.out_cls.0.weight",
    "coords.gau.uv.weight": "head.dcc.gau.uv.weight",
    "neck.sincos_pos_enc.dim_t": "neck.sincos_pos_enc.dim_t",
    "backbone.stem.conv.conv.weight": "backbone.stem.conv.conv.weight",
}


@pytest.mark.parametrize("ours", PAIRS)
def test_names_go_there_and_back(ours: str) -> None:
    assert published_name(ours) == PAIRS[ours] and our_name(PAIRS[ours]) == ours


@pytest.mark.parametrize(
    ("names", "whose"),
    [
        ([*PAIRS], "workbench"),
        ([*PAIRS.values()], "mmpose"),
        ([*PAIRS.values(), SIGMAS], "mmpose"),
        ([*PAIRS.values(), FOCOOS_SIGMAS], "focoos"),
        (["backbone.stem.conv.conv.weight"], "mmpose"),
    ],
)
def test_it_is_told_whose_names_they_are(names: list[str], whose: Names) -> None:
    assert names_of(names) == whose


def test_constants_are_known_by_their_last_word() -> None:
    assert is_constant("head.dcc.x_bins") and is_constant("neck.sincos_pos_enc.dim_t")
    assert not is_constant("head.dcc.x_fc.bias")
