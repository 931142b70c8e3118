"""Verdicts as today's studies ask for them."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from tests.report.made_up import STUDY, text, with_study
from workbench.models.zoo import nano
from workbench.report import page
from workbench.report.record import Record
from workbench.report.verdict_frames import forest_frame, profile_verdicts, verdicts_frame
from workbench.study import Better, Cheaper, TimedRow, TimingStudy


def test_pairs_hold_the_claims_and_every_row_against_the_base(record: Record) -> None:
    pairs = forest_frame(record)
    assert [(c, r, t) for c, r, t in pairs[["claim", "row", "than"]].itertuples(index=False)] == [
        ("P1", "more", "base"),
        ("", "more", "base"),
        ("", "A/A", "base"),
    ]
    assert (pairs["low"] <= pairs["mean"]).all() and (pairs["mean"] <= pairs["high"]).all()
    assert {"images_low", "images_high", "seeds_low", "seeds_high"} <= set(pairs)


def test_a_claim_recorded_of_other_rows_is_not_taken_over(record: Record) -> None:
    assert "P1" in text(page.verdicts(record))
    other = replace(STUDY, claims=(Better("P1", "more is better", "more", "A/A"),))
    (line,) = verdicts_frame(with_study(record, other)).to_dict("records")
    assert line["verdict"] == "open" and "not judged" in line["reason"]


def test_a_claim_recorded_with_another_margin_is_not_taken_over(record: Record) -> None:
    for margin, verdict in ((0.0, "holds"), (0.02, "open")):
        other = replace(STUDY, claims=(replace(STUDY.claims[0], margin=margin),))
        (line,) = verdicts_frame(with_study(record, other)).to_dict("records")
        assert line["verdict"] == verdict
    assert "another margin; 0.02" in line["reason"]


@pytest.mark.parametrize("field", ["row", "than", "metric", "times"])
def test_a_cost_claim_recorded_otherwise_is_not_taken_over(record: Record, field: str) -> None:
    claim = Cheaper("K1", "base is cheaper", "base", "more", "ms", 1.1)
    line = {"claim": "K1", "text": "base is cheaper", "row": "base", "than": "more", "metric": "ms", "times": 1.1}
    line |= {"verdict": "holds", "reason": "0.8 times"}
    asked = with_study(record, replace(STUDY, costs=(claim,)))

    def judged(recorded: dict[str, Any]) -> str:
        (_, cost) = verdicts_frame(replace(asked, cost_claims=pd.DataFrame([recorded]))).to_dict("records")
        return cost["verdict"]

    assert judged(line) == "holds"
    changed = {"row": "A/A", "than": "A/A", "metric": "gflops", "times": 1.2}[field]
    assert judged(line | {field: changed}) == "open"
    older = {name: line[name] for name in ("claim", "text", "verdict", "reason")}
    assert judged(older) == "holds" and judged(older | {"text": "base is as dear"}) == "open"


def test_another_comparison_is_not_drawn_under_the_name_of_a_claim(record: Record) -> None:
    """What was recorded turned round, or with another margin, is no claim of today."""
    for changes in ({"row": "base", "than": "more"}, {"metric": "NME"}, {"margin": -0.01}):
        asked = with_study(record, replace(STUDY, claims=(replace(STUDY.claims[0], **changes),)))
        assert "P1" not in set(forest_frame(asked)["claim"]) and len(forest_frame(asked)) == 2
    assert "P1" in set(forest_frame(record)["claim"])


def test_no_cell_of_a_verdict_is_a_number_that_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "reports/data").mkdir(parents=True)
    text = "claim,text,row,than,metric,times,verdict,reason,mean,low,high\nK1,c,a,b,gflops,1,holds,counted,,,\n"
    (tmp_path / "reports/data/timed_cost_claims.csv").write_text(text)
    asked = TimingStudy(
        "timed", "?", "a test", nano(), (TimedRow("a"), TimedRow("b")), (Cheaper("K1", "c", "a", "b", "gflops"),)
    )
    (line,) = profile_verdicts(asked).to_dict("records")
    assert line["verdict"] == "holds" and all(isinstance(value, str) for value in line.values())


def test_a_statement_stands_before_its_parts(record: Record) -> None:
    parts = tuple(replace(STUDY.claims[0], id=f"P1, {i}", part_of="P1") for i in (1, 2))
    known = pd.concat([record.claims.assign(claim=claim.id) for claim in parts])
    frame = verdicts_frame(with_study(replace(record, claims=known), replace(STUDY, claims=parts)))
    assert frame["claim"].tolist() == ["P1", "P1, 1", "P1, 2"] and frame["part_of"].tolist() == ["", "P1", "P1"]
    assert frame["verdict"].tolist() == ["holds"] * 3
