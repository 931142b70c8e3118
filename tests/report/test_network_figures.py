"""Figures of what networks see: every row has a panel, and key points go by their names."""

from pathlib import Path
from typing import Any

import pytest

from tests.report.made_up import TINY, TWO
from workbench.experiments.plan import StudyRun
from workbench.report import examples, network_figures
from workbench.report.drawing import png
from workbench.report.record import load_record, write_record


@pytest.mark.slow
def test_heatmaps_are_drawn_where_a_row_has_them(
    trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    there = StudyRun(TWO, TINY, trained)
    write_record(there)
    chosen = examples.panel(load_record(there))
    assert chosen is not None
    person = examples.person(chosen, least=0.0)
    assert person is not None
    figure = network_figures.heatmaps_figure(person, list(person.rows), "title")
    png(figure)
    children: list[Any] = [panel for main in figure.axes for panel in main.child_axes]
    panels = {panel.get_title(loc="left"): panel for panel in children}
    assert len(panels["bins"].collections) == 2 and not panels["regression"].collections, "a curve per key point"
    assert [said.get_text() for said in panels["regression"].texts] == ["no 1-D heatmap"]
    assert all(name.replace("_", " ") in main.get_xlabel() for main in figure.axes for name in person.names)
