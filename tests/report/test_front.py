"""Who is on the front of cost and AP."""

from dataclasses import replace

import numpy as np
import pandas as pd

from tests.report.made_up import cells, text
from workbench.report import findings, page
from workbench.report.front import alike, front_frame, with_front
from workbench.report.record import Record


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
    found = with_front(pd.DataFrame({"cost": cost, "AP": quality}), slack=0.0)["front"].tolist()
    assert found == slow and any(slow) and not all(slow)


def test_costs_that_the_instrument_can_not_tell_apart_are_equal() -> None:
    frame = pd.DataFrame({"cost": [1.0, 1.01, 1.05], "AP": [0.5, 0.6, 0.6]}, index=["a", "b", "c"])
    assert with_front(frame, slack=0.0)["dominators"].tolist() == [[], [], ["b"]]
    within = with_front(frame, slack=0.02)
    assert within["dominators"].tolist() == [["b"], [], ["b"]], "1 % dearer is no dearer, 4 % is"
    wide = with_front(frame, slack=0.1)
    assert wide["front"].tolist() == [False, True, True], "neither of two equals dominates the other"


def test_latency_on_the_front_is_the_ratio_with_its_slack(record: Record) -> None:
    """The median alone would be that of another hour."""
    cost = pd.DataFrame({"row": ["base", "more"], "latency_ms_p50": [90.0, 80.0], "latency_ratio": [1.0, 1.01]})
    sharp = replace(record, cost=cost.assign(slack=0.001))
    assert front_frame(sharp, "latency")["cost"].tolist() == [1.0, 1.01]
    assert front_frame(sharp, "latency")["front"].all(), "the better row costs 1 % more"
    blunt = front_frame(replace(record, cost=cost.assign(slack=0.02)), "latency")
    assert blunt["dominators"].to_dict() == {"base": ["more"], "more": []}


def test_the_front_leaves_out_repeated_rows_and_names_who_beats_whom(record: Record) -> None:
    found = front_frame(record, "gflops")
    assert list(found.index) == ["base", "more"] and found["front"].all(), "the fixture's better row costs more"
    dear = with_front(found.assign(cost=[2.0, 1.0]), slack=0.0)
    assert "more alone is on the front" in findings.front_finding(dear, "gflops")
    assert dear["dominators"].to_dict() == {"base": ["more"], "more": []}
    dearer = replace(record, runs=record.runs.assign(gflops=record.runs["row"].map({"base": 2, "more": 1, "A/A": 2})))
    shown = cells(text(page.front_table(dearer, "gflops")))
    assert shown["base"]["dominated by"] == "more" and shown["more"]["on the front"] == "yes"


def test_rows_that_run_one_network_have_no_front(record: Record) -> None:
    assert alike(record) == ""
    same = replace(record, runs=record.runs.assign(gflops=0.5))
    assert "same parameters and multiply-adds" in text(page.fronts(same))
    assert "same parameters" in text(page.front_table(same, "gflops"))
