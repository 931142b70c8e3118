"""The contract that every neck keeps."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from tests.components.necks.small import GIVEN, small
from workbench.components.necks.hybrid_encoder import HybridEncoder
from workbench.components.necks.pafpn import PAFPN
from workbench.core.errors import Refused
from workbench.slots import Neck
from workbench.tensors import Level
from workbench.testing import SPEC_CONTRACTS, contract_tests

CHOICES = ((8,), (16,), (32,), (8, 16), (8, 32), (16, 32), (8, 16, 32))


NECKS: tuple[Neck, ...] = (
    *(small(strides=s) for s in CHOICES),
    *(small(transformer_encoder_layers=n) for n in (0, 2, 3)),
    small(width=1.0, depth=1.0, transformer_dropout=0.1),
    *(PAFPN(width=0.03125, out_channels=10, strides=s) for s in CHOICES),
    PAFPN(width=0.05, depth=1.0, out_channels=7),
)


test_contracts = contract_tests(*NECKS, only=SPEC_CONTRACTS)


@pytest.mark.parametrize("spec", NECKS, ids=lambda s: f"{type(s).__name__}-{s.key}")
def test_strides_are_those_that_are_asked_for(spec: Neck) -> None:
    with torch.device("meta"):
        assert tuple(level.stride for level in spec.build(GIVEN).levels) == getattr(spec, "strides")  # noqa: B009


@pytest.mark.parametrize("neck", [HybridEncoder, PAFPN])
@pytest.mark.parametrize(
    ("name", "value"),
    [*(("strides", strides) for strides in ((), (32, 16), (4, 8), (16, 16), (64,), (4,))), ("width", 0.001)],
)
def test_a_value_out_of_range_is_refused(neck: type[Neck], name: str, value: Any) -> None:
    with pytest.raises(Refused, match=name):
        neck(**{name: value})


@pytest.mark.parametrize("spec", [HybridEncoder(), PAFPN()])
def test_other_strides_are_refused(spec: Neck) -> None:
    with pytest.raises(Refused, match="strides"):
        spec.build((Level(8, 4), Level(8, 8), Level(8, 16)))
