"""The tables of a page."""

from dataclasses import replace
from pathlib import Path

import pandas as pd

from tests.report.made_up import CONDITIONS, FOUND, SETTING, STUDY, cells, text, with_study
from workbench.experiments import profiling
from workbench.experiments.plan import StudyRun
from workbench.experiments.profiling import Measurement, Reading
from workbench.report import findings, page
from workbench.report.figures import fronts_figure
from workbench.report.front import COSTS, front_frame
from workbench.report.record import Record, load_record
from workbench.report.rows import labels
from workbench.report.verdict_frames import verdicts_frame
from workbench.study import Cheaper


def test_the_check_mark_table_says_what_rows_have_and_do(record: Record, home: Path) -> None:
    found = cells(text(page.ablation(record)))
    assert found["base"]["padding"] == "1.25" and found["more"]["padding"] == "1.5" and list(found) == list(FOUND)
    assert found["base"]["AP, %"] == "50.1\u00a0±\u00a00.1", "0, 1 and 2 thousandths above a half"
    assert found["more"]["AP, %"].startswith("**65.1") and not found["A/A"]["AP, %"].startswith("**")
    assert found["more"]["to the first"] == found["more"]["to the row above"] == "+15.0"
    assert found["A/A"]["to the row above"] == "-12.5" and found["base"]["to the first"] == ""
    # 2 epochs of 100 images at 50 images a second
    assert found["base"]["minutes"] == "0.1" and "latency, times the first" not in found["base"]


def test_published_numbers_have_a_place_of_their_own(record: Record) -> None:
    assert cells(text(page.published(record))) == {
        "base": {"row": "base", "AP, %, published": "67.7", "where": "a paper"}
    }
    assert "67.7" not in text(page.ablation(record)) + text(page.table(record))
    none = with_study(record, replace(STUDY, rows=(replace(STUDY.rows[0], cited=None), *STUDY.rows[1:])))
    assert "none of these rows" in text(page.published(none))


def test_a_latency_is_the_one_timed_side_by_side(record: Record) -> None:
    """Not the one taken at the end of a training run, whatever else the machine did."""
    assert "latency" not in text(page.ablation(record)).split("\n\n")[0]
    assert "left out" in text(page.front_table(record, "latency"))
    cost = pd.DataFrame({"row": ["base", "more"], "latency_ms_p50": [90.0, 135.0], "latency_ratio": [1.0, 1.5]})
    timed = replace(record, cost=cost.assign(size="640 x 640", threads="1", machine="box"))
    assert cells(text(page.ablation(timed)))["more"]["latency, times the first"] == "1.50"
    said = "latency of one image, times that of base (640 x 640 px, 1 thread, box)"
    assert said in text(page.front_table(timed, "latency"))
    fronts = {findings.cost_text(timed, cost): front_frame(timed, cost) for cost in COSTS}
    axes = fronts_figure(fronts, labels(record), "title").axes
    assert [axis.get_xlabel().replace("\n", " ") for axis in axes] == [said, "10⁹ multiply-adds of one image"]


def test_runs_are_linked_where_they_were_recorded(record: Record) -> None:
    assert "left out" in text(page.runs(record)) and "MLflow store" not in text(page.head(record))
    linked = replace(record, runs=record.runs.assign(mlflow=[f"1/{i}" for i in range(len(record.runs))]))
    assert "[seed 0](http://127.0.0.1:5000/#/experiments/1/runs/0" in text(page.runs(linked))
    assert "MLflow store" in text(page.head(linked))


def test_costs_of_the_study_stand_beside_its_claims(record: Record, home: Path) -> None:
    assert "run `nox -s study -- padding --protocol cost`" in text(page.costs(record))
    asked = replace(STUDY, costs=(Cheaper("K1", "base is cheaper", "base", "more"), Cheaper("K2", "?", "more", "base")))
    readings = tuple(
        Reading(row, 10, "kept", 2_000_000, 15.5, tuple(times * ms for ms in [80.0] * 4 + [90.0] * 12 + [100.0] * 4))
        for row, times in (("base", 1.0), ("more", 1.5))
    )
    measured = Measurement(readings, CONDITIONS, twin=tuple(1.02 * ms for ms in readings[0].ms))
    profile = asked.profile()
    judged = [one for one in profiling.judge_costs(profile, measured) if one.claim.id == "K1"]
    profiling.write_costs(profile, measured, judged)
    timed = load_record(StudyRun(asked, SETTING, home))
    lines = text(page.costs(timed)).splitlines()
    assert lines[2].startswith("| base | 2.00 | 15.500 | 90.0 | 80.0 to 100.0 | 1.000 (1.000 to 1.000) |")
    assert lines[3].startswith("| more | 2.00 | 15.500 | 135.0 | 120.0 to 150.0 | 1.500 (1.500 to 1.500) |")
    assert "1 thread" in lines[-1] and "box" in lines[-1] and "other processes on 1.1 cores" in lines[-1]
    assert "the same network timed twice differs by up to 2.0 %" in lines[-1]
    older = replace(timed, cost=timed.cost.rename(columns={"others": "load"}))
    assert "load 1.1" in text(page.costs(older)).splitlines()[-1]
    said = {line["claim"]: line["verdict"] for line in verdicts_frame(timed).to_dict("records")}
    assert said["K1"] == "holds" and said["K2"] == "open" and set(said) == {"P1", "K1", "K2"}
