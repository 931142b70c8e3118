"""Rows can be told apart."""

import numpy as np

from workbench.report.drawing import styles


def test_thirteen_rows_have_thirteen_colours_and_markers() -> None:
    look = styles([str(i) for i in range(26)])
    first = list(look.values())[:13]
    assert len({s.colour for s in first}) == len({s.marker for s in first}) == 13
    assert len({(s.colour, s.marker) for s in look.values()}) == 26
    parts = np.array([[int(s.colour[i : i + 2], 16) for i in (1, 3, 5)] for s in first])
    apart = np.abs(parts[:, None] - parts[None]).sum(-1)[~np.eye(13, dtype=bool)]
    assert apart.min() > 60, "two colours can hardly be told apart"
