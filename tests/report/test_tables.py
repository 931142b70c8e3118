"""The frames behind a page, from the record alone."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tests.report.made_up import PERSONS, STUDY, text, with_study, write_persons
from workbench.core.errors import Refused
from workbench.report import findings, page, tables
from workbench.report.record import Record
from workbench.study import Better, Cheaper


def test_pairs_hold_the_claims_and_every_row_against_the_base(record: Record) -> None:
    pairs = tables.forest_frame(record)
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
    (line,) = tables.verdicts_frame(with_study(record, other)).to_dict("records")
    assert line["verdict"] == "open" and "not judged" in line["reason"]


def test_a_claim_recorded_with_another_margin_is_not_taken_over(record: Record) -> None:
    for margin, verdict in ((0.0, "holds"), (0.02, "open")):
        other = replace(STUDY, claims=(replace(STUDY.claims[0], margin=margin),))
        (line,) = tables.verdicts_frame(with_study(record, other)).to_dict("records")
        assert line["verdict"] == verdict
    assert "margin 0.02" in line["reason"]


@pytest.mark.parametrize("field", ["row", "than", "metric", "times"])
def test_a_cost_claim_recorded_otherwise_is_not_taken_over(record: Record, field: str) -> None:
    claim = Cheaper("K1", "base is cheaper", "base", "more", "ms", 1.1)
    line = {"claim": "K1", "text": "base is cheaper", "row": "base", "than": "more", "metric": "ms", "times": 1.1}
    line |= {"verdict": "holds", "reason": "0.8 times"}
    asked = with_study(record, replace(STUDY, costs=(claim,)))

    def judged(recorded: dict[str, Any]) -> str:
        (_, cost) = tables.verdicts_frame(replace(asked, cost_claims=pd.DataFrame([recorded]))).to_dict("records")
        return cost["verdict"]

    assert judged(line) == "holds"
    changed = {"row": "A/A", "than": "A/A", "metric": "gflops", "times": 1.2}[field]
    assert judged(line | {field: changed}) == "open"
    older = {name: line[name] for name in ("claim", "text", "verdict", "reason")}
    assert judged(older) == "holds" and judged(older | {"text": "base is as dear"}) == "open"


def test_the_front_is_what_nothing_beats() -> None:
    rng = np.random.default_rng(0)
    cost, quality = rng.integers(0, 6, 30).tolist(), rng.integers(0, 6, 30).tolist()
    slow = []
    for i in range(30):
        beaten = False
        for j in range(30):
            no_worse = cost[j] <= cost[i] and quality[j] >= quality[i]
            beaten = beaten or (no_worse and (cost[j] < cost[i] or quality[j] > quality[i]))
        slow.append(not beaten)
    assert tables.on_front(cost, quality) == slow and any(slow) and not all(slow)


def test_the_front_leaves_out_repeated_rows_and_names_who_beats_whom(record: Record) -> None:
    front = tables.front_frame(record, "gflops")
    assert list(front.index) == ["base", "more"] and front["front"].all(), "the fixture's better row costs more"
    dear = front.assign(cost=[2.0, 1.0], front=tables.on_front([2.0, 1.0], front["AP"].tolist()))
    assert "more is by the means the cheapest and the best" in findings.front_finding(dear, "gflops")
    lines = {line["row"]: line for line in tables.dominated_frame(dear).to_dict("records")}
    assert lines["base"]["dominated by"] == "more" and lines["more"]["front"]


def test_persons_are_read_from_the_costs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_persons("people", PERSONS)
    write_persons("levels", [("kept", 10, 5.0)])
    frame = tables.persons_frame("people")
    assert frame["p50"].tolist() == [ms for _, _, ms in PERSONS] and frame["method"].nunique() == 2
    growth = tables.growth_frame(frame).set_index("method")
    assert growth.loc[tables.WAYS["kept"], "ratio"] == pytest.approx(1.1)
    for name in ("levels", "nobody"):
        with pytest.raises(Refused, match="run the study first"):
            tables.persons_frame(name)
