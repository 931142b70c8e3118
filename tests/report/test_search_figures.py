"""The figures of a search: what is on them, and what their axes say."""

from dataclasses import replace

import pandas as pd
import pytest

from tests.report.searched import planted_record
from workbench.report import search_figures as figures
from workbench.report.drawing import Figure, Hover, png
from workbench.report.search_frames import SearchRecord, compute_frame, fresh_frame, growth_shares, predictions_frame


@pytest.fixture
def record() -> SearchRecord:
    return planted_record()


def drawn(figure: Figure) -> str:
    """All that is written on its axes."""
    assert len(png(figure)) > 5_000
    return " ".join(" ".join(f"{axis.get_xlabel()} {axis.get_ylabel()}" for axis in figure.axes).split())


def test_every_axis_of_the_front_says_which_size_it_means(record: SearchRecord) -> None:
    hover = Hover()
    figure = figures.front_figure(record, "t", hover)
    said = drawn(figure)
    assert "96 x 96 px" in said and "published size, 640 px" in said and "as trained under small" in said
    assert len(set(hover.texts.values())) == len(record.front) and set(hover.rows.values()) <= set(figures.GROUPS)
    axis = figure.axes[0]
    assert {text.get_text() for text in axis.texts} == {*record.on_front["candidate"], "Base", "Dear: over a limit"}
    left, right = axis.get_xlim()
    assert left < record.front["cost"].min() and right > 5.5


def test_the_names_of_networks_that_were_not_trained_do_not_lie_over_one_another(record: SearchRecord) -> None:
    named = record.candidates[record.candidates["published"] == "Dear"]
    near = named.assign(candidate="#099", published="Near", gflops=0.99 * named["gflops"])
    figure = figures.front_figure(replace(record, candidates=pd.concat([record.candidates, near])), "t")
    png(figure)
    first, second = (t for t in figure.axes[0].texts if t.get_text() in ("Dear: over a limit", "Near: over a limit"))
    assert not first.get_window_extent().overlaps(second.get_window_extent())


def test_effects_have_two_panels(record: SearchRecord) -> None:
    figure = figures.effects_figure(record, "t")
    assert "difference in AP, points" in drawn(figure) and "ratio of costs" in drawn(figure)
    assert len(figure.axes[0].get_yticklabels()) == 3


def test_the_others_are_drawn(record: SearchRecord) -> None:
    labels = {factor.name: factor.labels for factor in record.search.factors}
    assert "minutes" in drawn(figures.growth_figure(record, growth_shares(record), "t"))
    assert "measured" in drawn(figures.predicted_figure(record, predictions_frame(record), "t"))
    assert "96 x 96 px" in drawn(figures.fresh_figure(record, fresh_frame(record), "t"))
    assert "minutes" in drawn(figures.compute_figure(compute_frame(record), "t"))
    assert "fANOVA" in drawn(figures.importance_figure(record.importance, "t"))
    assert "96 x 96 px" in drawn(figures.parallel_figure(record, labels, "t"))
