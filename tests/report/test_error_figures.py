"""The figures of errors say in their labels what they show."""

import numpy as np
import pandas as pd

from workbench.report.diagnosis import ERROR_KINDS
from workbench.report.error_figures import ERROR_COLOURS, kinds_figure, points_figure, precision_figure


def test_every_kind_of_error_has_a_colour_and_small_shares_no_number() -> None:
    assert tuple(ERROR_COLOURS) == ERROR_KINDS and len(set(ERROR_COLOURS.values())) == len(ERROR_KINDS)
    shares = pd.DataFrame([[0.9, 0.06, 0.01, 0.02, 0.01]], columns=list(ERROR_KINDS), index=["a"])
    (axis,) = kinds_figure(shares, "title").axes
    assert [text.get_text() for text in axis.texts] == ["90", "6"]


def test_precision_has_a_panel_for_each_threshold_and_ends_where_recall_does() -> None:
    lines = [("a", t, r, 1.0 - r if r < 0.8 else 0.0) for t in (0.5, 0.75) for r in (0.0, 0.4, 0.8)]
    frame = pd.DataFrame(lines, columns=["row", "threshold", "recall", "precision"])
    axes = precision_figure(frame, ["a"], "title").axes
    assert [axis.get_title() for axis in axes] == ["OKS 0.50", "OKS 0.75"]
    assert np.asarray(axes[0].lines[0].get_xdata()).tolist() == [0.0, 40.0], "recall ends where precision does"


def test_each_key_point_has_a_mark_of_each_row() -> None:
    lines = [(row, point, error) for row, error in (("a", 0.1), ("b", 0.2)) for point in ("nose", "hip")]
    (axis,) = points_figure(pd.DataFrame(lines, columns=["row", "keypoint", "error"]), ["a", "b"], "title").axes
    assert [np.asarray(line.get_xdata()).tolist() for line in axis.lines] == [[0.1, 0.1], [0.2, 0.2]]
    assert [label.get_text() for label in axis.get_yticklabels()] == ["nose", "hip"]
