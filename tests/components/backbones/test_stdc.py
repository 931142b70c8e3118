"""STDC: its sizes, and the names it has for timm."""

from __future__ import annotations

from typing import Any, Literal

import pytest
import timm
import torch

from tests.components.shapes import parameters
from workbench.components.backbones.stdc import STDC


@pytest.mark.parametrize(("size", "count"), [("nano", 1_334_096), ("1", 5_318_304), ("2", 9_348_768)])
def test_stdc_counts(size: Literal["nano", "1", "2"], count: int) -> None:
    with torch.device("meta"):
        module = STDC(size=size).build()
        registered: Any = timm.create_model(f"stdc_{size}", features_only=True)
    assert parameters(module) == parameters(registered) == count
    base = 32 if size == "nano" else 64
    assert module.levels == ((4 * base, 8), (8 * base, 16), (16 * base, 32))
    assert registered.feature_info.reduction() == [2, 4, 8, 16, 32]
