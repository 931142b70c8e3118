"""The picture of settings: every one in both panels, the front filled."""

from __future__ import annotations

from typing import Any

import pytest

from tests.report.settings import MADE, measured
from workbench.report.drawing import png, svg
from workbench.report.sizes_figure import sizes_figure
from workbench.report.sizes_table import sizes_frame


def first(values: Any) -> float:
    return float(values[0])


def test_every_setting_stands_in_both_panels_and_the_front_is_filled() -> None:
    figure, frame = sizes_figure(measured()), sizes_frame(measured())
    for axis, front in zip(figure.axes, ("front_latency", "front_gflops"), strict=True):
        marks = [line for line in axis.lines if line.get_marker() not in ("", "None", None)]
        assert [line.get_markerfacecolor() != "white" for line in marks] == frame[front].tolist()
        assert [first(line.get_ydata()) for line in marks] == pytest.approx([100 * made[0] for made in MADE.values()])
    assert figure.axes[0].get_xlabel() == "times the own setting's latency, 1 thread"


def test_settings_of_the_same_multiply_adds_stand_beside_each_other() -> None:
    axis = sizes_figure(measured()).axes[1]
    places = [first(line.get_xdata()) for line in axis.lines if line.get_marker() not in ("", "None", None)]
    assert len(set(places)) == len(places)


def test_it_can_be_kept_as_a_file() -> None:
    figure = sizes_figure(measured())
    assert png(figure).startswith(b"\x89PNG") and "front (filled)" in svg(figure)
