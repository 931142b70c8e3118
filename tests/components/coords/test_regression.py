"""The regression branch as the answer."""

from __future__ import annotations

import pytest
import torch

from tests.components.coords.stages import some_cells
from workbench.components.coords.regression import Regression
from workbench.core.errors import Refused


def test_regression_without_the_regression_branch_is_refused() -> None:
    cells = some_cells(2)
    assert torch.equal(Regression().build(6, 5)(cells).keypoints, cells.proxy)  # type: ignore[arg-type]
    cells.proxy = None
    with pytest.raises(Refused, match="proxy=True"):
        Regression().build(6, 5)(cells)
