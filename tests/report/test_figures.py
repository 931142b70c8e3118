"""The figures: what they show can be read and told apart."""

from typing import Any

import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from workbench.report import figures as drawn
from workbench.report import tables
from workbench.report.record import Record


def figures(record: Record) -> dict[str, Any]:
    rows = tables.labels(record)
    fronts = {cost: tables.front_frame(record, cost) for cost in tables.COSTS}
    means = {"size": tables.slices_mean(record, "size")}
    persons = {"size": dict.fromkeys(means["size"].columns, 10)}
    latency = pd.DataFrame({"method": ["a", "a"], "persons": [1, 4], "p50": [5.0, 6.0], "p90": [6.0, 7.0]})
    latency = latency.assign(size="640 x 640", threads="1", machine="box")
    return {
        "forest": drawn.forest_figure(tables.forest_frame(record), "title"),
        "quality": drawn.quality_figure(record.runs, record.rows, rows, "title"),
        "fronts": drawn.fronts_figure(fronts, rows, "title"),
        "curves": drawn.curves_figure(tables.bands_frame(record), rows, "title"),
        "slices": drawn.slices_figure(means, persons, rows, "title"),
        "persons": drawn.persons_figure(latency, "title"),
    }


@pytest.mark.slow
def test_axes_have_names_and_legends_do_not_cover_data(record: Record) -> None:
    for name, figure in figures(record).items():
        drawn.png(figure)  # lays it out
        renderer = FigureCanvasAgg(figure).get_renderer()
        (legend,) = figure.legends
        box = legend.get_window_extent(renderer)
        for axis in figure.axes:
            assert axis.get_xlabel(), name
            assert not box.overlaps(axis.get_window_extent(renderer)), name
        assert box.x0 >= 0 and box.x1 <= figure.bbox.x1 and box.y0 >= 0, name
        assert figure.axes[0].get_ylabel() or name in ("forest", "quality"), name


def test_rows_can_be_told_apart_by_colour_and_by_marker() -> None:
    look = drawn.styles([str(i) for i in range(16)])
    assert len({(s.colour, s.marker) for s in look.values()}) == 16
    assert len({s.colour for s in list(look.values())[:8]}) == len({s.marker for s in list(look.values())[:8]}) == 8
