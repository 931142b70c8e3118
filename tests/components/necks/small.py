"""A hybrid encoder that is small, and what the necks of the tests are given."""

from __future__ import annotations

from typing import Any

from workbench.components.necks.hybrid_encoder import HybridEncoder
from workbench.tensors import Level

GIVEN = (Level(12, 8), Level(20, 16), Level(28, 32))


def small(**changes: Any) -> HybridEncoder:
    fields: dict[str, Any] = {
        "transformer_embed_dims": 16,
        "transformer_num_heads": 2,
        "transformer_feedforward_channels": 24,
        "out_channels": 10,
    }
    return HybridEncoder(**(fields | changes))
