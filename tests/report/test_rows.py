"""Which row is best, and over what."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from tests.report.made_up import FOUND, cells, text
from workbench.report import findings, page, tables
from workbench.report.record import Record
from workbench.report.rows import best_row, lead, none_above_zero


def test_five_seeds_are_not_compared_with_two(record: Record) -> None:
    """The row with one seed more is neither the best by it nor ahead by it."""
    lucky = record.runs[record.runs["row"] == "base"].iloc[:1].assign(seed=3, AP=5.0)
    more = replace(record, runs=pd.concat([record.runs, lucky], ignore_index=True))
    frame = tables.ablation_frame(more)
    assert frame.loc["base", "AP"] > 1 and not frame["best"].any(), "by all its seeds it is another one"
    assert best_row(more, "AP") is None and cells(text(page.ablation(more)))["base"]["seeds"] == "4"
    title = findings.quality_finding(more)
    assert title.startswith("Which row has the highest AP depends on the seeds"), "title and table agree"
    assert (
        "seeds" not in cells(text(page.ablation(record)))["base"] and tables.ablation_frame(record).loc["more", "best"]
    )
    assert frame.loc["more", "first"] == pytest.approx(0.15)
    apart = record.runs.assign(seed=record.runs["seed"] + 10 * record.runs["row"].map(list(FOUND).index))
    alone = replace(record, runs=apart)
    assert np.isnan(lead(alone, "more", "base")) and best_row(alone, "AP") is None
    assert "no seed in common" in findings.quality_finding(alone)


def test_nothing_is_best_at_what_is_shown_as_nothing(record: Record) -> None:
    tiny = replace(record, runs=record.runs.assign(AP=record.runs["row"].map({"base": 0.0, "more": 3e-4, "A/A": 0.0})))
    assert best_row(tiny, "AP") is None and none_above_zero(tiny)
    assert "**" not in text(page.ablation(tiny)).split("\n\n")[0]
    assert findings.quality_finding(tiny) == "AP rounds to 0.0 % in every row, so none is called the best"
    nobody = replace(tiny, runs=tiny.runs.assign(AP=0.0, NME=np.nan))
    assert findings.quality_finding(nobody) == "No row has matched a person: AP is 0.0 everywhere"
    little = replace(tiny, runs=tiny.runs.assign(AP=2 * tiny.runs["AP"]))
    assert best_row(little, "AP") == "more" and not none_above_zero(little), "0.06 % is shown as 0.1"
