"""The figures: what they show can be read and told apart."""

from dataclasses import replace
from typing import Any

import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from workbench.report import tables
from workbench.report.curves import bands_frame, losses_frame
from workbench.report.drawing import png
from workbench.report.error_figures import ERROR_COLOURS, kinds_figure, points_figure, precision_figure, slices_figure
from workbench.report.figures import curves_figure, fronts_figure, losses_figure, persons_figure, quality_figure
from workbench.report.forest_figure import forest_figure
from workbench.report.front import front_frame
from workbench.report.record import Record
from workbench.report.rows import labels
from workbench.report.verdict_frames import forest_frame


def figures(record: Record) -> dict[str, Any]:
    rows = labels(record)
    fronts = {"gflops": front_frame(record, "gflops")}
    means = {"size": tables.slices_mean(record, "size")}
    persons = {"size": dict.fromkeys(means["size"].columns, 10)}
    points = pd.DataFrame({"row": rows * 2, "keypoint": ["nose"] * 3 + ["hip"] * 3, "error": 0.1})
    points = points.assign(**dict.fromkeys(ERROR_COLOURS, 2))
    latency = pd.DataFrame({"method": ["a", "a"], "persons": [1, 4], "p50": [5.0, 6.0], "p90": [6.0, 7.0]})
    latency = latency.assign(size="640 x 640", threads="1", machine="box")
    return {
        "forest": forest_figure(forest_frame(record), "title"),
        "quality": quality_figure(record.runs, record.rows, rows, "title"),
        "fronts": fronts_figure(fronts, rows, "title"),
        "curves": curves_figure(bands_frame(record), rows, "title"),
        "losses": losses_figure(losses_frame(record), rows, "title"),
        "precision": precision_figure(record.precision, rows, "title"),
        "points": points_figure(points, rows, "title"),
        "kinds": kinds_figure(tables.kinds_frame(replace(record, points=points)), "title"),
        "slices": slices_figure(means, persons, rows, "title"),
        "persons": persons_figure(latency, "title"),
    }


@pytest.mark.slow
def test_axes_have_names_and_legends_do_not_cover_data(record: Record) -> None:
    for name, figure in figures(record).items():
        png(figure)  # lays it out
        renderer = FigureCanvasAgg(figure).get_renderer()
        (legend,) = figure.legends
        box = legend.get_window_extent(renderer)
        for axis in figure.axes:
            assert axis.get_xlabel(), name
            assert not box.overlaps(axis.get_window_extent(renderer)), name
        assert box.x0 >= 0 and box.x1 <= figure.bbox.x1 and box.y0 >= 0, name
        assert figure.axes[0].get_ylabel() or name in ("forest", "quality", "points", "kinds"), name
