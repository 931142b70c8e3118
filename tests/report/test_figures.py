"""The figures: what they show can be read and told apart."""

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from workbench.report import figures as drawn
from workbench.report import tables
from workbench.report.record import Record


def figures(record: Record) -> dict[str, Any]:
    rows = tables.labels(record)
    fronts = {"gflops": tables.front_frame(record, "gflops")}
    means = {"size": tables.slices_mean(record, "size")}
    persons = {"size": dict.fromkeys(means["size"].columns, 10)}
    points = pd.DataFrame({"row": rows * 2, "keypoint": ["nose"] * 3 + ["hip"] * 3, "error": 0.1})
    points = points.assign(**dict.fromkeys(drawn.ERROR_COLOURS, 2))
    latency = pd.DataFrame({"method": ["a", "a"], "persons": [1, 4], "p50": [5.0, 6.0], "p90": [6.0, 7.0]})
    latency = latency.assign(size="640 x 640", threads="1", machine="box")
    return {
        "forest": drawn.forest_figure(tables.forest_frame(record), "title"),
        "quality": drawn.quality_figure(record.runs, record.rows, rows, "title"),
        "fronts": drawn.fronts_figure(fronts, rows, "title"),
        "curves": drawn.curves_figure(tables.bands_frame(record), rows, "title"),
        "losses": drawn.losses_figure(tables.losses_frame(record), rows, "title"),
        "precision": drawn.precision_figure(record.precision, rows, "title"),
        "points": drawn.points_figure(points, rows, "title"),
        "kinds": drawn.kinds_figure(tables.kinds_frame(replace(record, points=points)), "title"),
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
        assert figure.axes[0].get_ylabel() or name in ("forest", "quality", "points", "kinds"), name


def test_thirteen_rows_have_thirteen_colours_and_markers() -> None:
    look = drawn.styles([str(i) for i in range(26)])
    first = list(look.values())[:13]
    assert len({s.colour for s in first}) == len({s.marker for s in first}) == 13
    assert len({(s.colour, s.marker) for s in look.values()}) == 26
    parts = np.array([[int(s.colour[i : i + 2], 16) for i in (1, 3, 5)] for s in first])
    apart = np.abs(parts[:, None] - parts[None]).sum(-1)[~np.eye(13, dtype=bool)]
    assert apart.min() > 60, "two colours can hardly be told apart"


def test_a_wild_interval_is_cut_off_with_an_arrow(record: Record) -> None:
    """Two seeds: Student's factor is 12.7, and the axis would show nothing but that interval."""
    frame = tables.forest_frame(record)

    def axis_of(wild: float) -> Any:
        wide = frame.assign(low=[-wild, *frame["low"][1:]], high=[wild, *frame["high"][1:]])
        return drawn.forest_figure(wide[wide["claim"] == "P1"], "title").axes[0]

    def arrows(axis: Any) -> list[str]:
        return [line.get_marker() for line in axis.lines if line.get_marker() in ("<", ">")]

    assert arrows(axis_of(0.2)) == [] and axis_of(0.2).get_xlim()[1] > 20
    assert arrows(axis_of(5.0)) == ["<", ">"] and axis_of(5.0).get_xlim()[1] < 100, "of 500 points"


def test_marks_know_their_row_and_their_numbers(record: Record) -> None:
    hover = drawn.Hover()
    svg = drawn.svg(drawn.forest_figure(tables.forest_frame(record), "title", hover))
    assert set(hover.rows.values()) == {"more", "A/A"} and all(f'id="{group}"' in svg for group in hover.texts)
    told = [said for said in hover.texts.values() if said.startswith("P1")]
    assert len(told) > 1 and all("AP, 95 % interval +" in said and said.endswith("; holds") for said in told)
    again = drawn.svg(drawn.forest_figure(tables.forest_frame(record), "title"))
    assert again == drawn.svg(drawn.forest_figure(tables.forest_frame(record), "title")), "the same bytes each time"
