"""What commands print for programs, and what they say beside it."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Mapping
from typing import Any


def print_json(data: Mapping[str, Any]) -> None:
    """JSON with null for numbers that are none: NaN is no JSON."""
    print(json.dumps(_finite(data), indent=1, allow_nan=False))


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _finite(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def remark(text: str) -> None:
    """What is no result: it goes to standard error, so that what is printed can be read by a program."""
    print(text, file=sys.stderr)
