"""What the catalogue finds."""

from __future__ import annotations

import pytest

from workbench.models import catalog

FOUND = catalog.discover()


def every(slot: str) -> pytest.MarkDecorator:
    """For every component of the slot."""
    return pytest.mark.parametrize("cls", FOUND[slot].values(), ids=FOUND[slot])
