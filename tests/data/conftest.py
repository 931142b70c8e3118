"""Hard scenes, rendered once for all files that look at them."""

from __future__ import annotations

import pytest

from workbench.data.synthetic.dataset import SyntheticScenes
from workbench.tensors import Sample


@pytest.fixture(scope="session")
def hard() -> list[Sample]:
    return list(SyntheticScenes("hard", 128, 3, 60))
