"""The figures of a page, from records with and without numbers."""

from dataclasses import replace

import pytest

from tests.report.made_up import FIGURES, still, text
from workbench.report import findings, page
from workbench.report.record import Record


@pytest.mark.slow
def test_rows_that_have_matched_nobody_still_have_figures(record: Record) -> None:
    nobody = replace(record, runs=record.runs.assign(AP=0.0, mOKS=0.0, NME=float("nan")))
    assert "No row has matched a person" in findings.quality_finding(nobody)
    assert "**" not in text(page.ablation(nobody)).split("\n\n")[0], "nothing is best at AP 0"
    for figure in FIGURES:
        assert still(figure(nobody))


@pytest.mark.slow
def test_a_single_reading_is_no_curve(record: Record) -> None:
    ends = record.curves.groupby(["row", "trunk", "seed"]).tail(1)
    for figure in (page.curves, page.loss_curves):
        assert still(figure(record))
        assert "evaluated once" in text(figure(replace(record, curves=ends)))
