"""The pieces of a page: what a page says, from the files of the record alone."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from tests.report.made_up import CONDITIONS, FOUND, SETTING, STUDY, run_in, text, with_study
from workbench.evaluation.bootstrap import metric_from_records
from workbench.evaluation.metrics import Metric
from workbench.evaluation.records import MatchRecords
from workbench.experiments import console, profiling
from workbench.experiments.claims import noise_floor
from workbench.experiments.plan import StudyRun
from workbench.experiments.profiling import Measurement, Reading
from workbench.models.zoo import nano
from workbench.report import figures as drawn
from workbench.report import findings, page, tables
from workbench.report.freshness import PARTS, networks_stamp
from workbench.report.page import LivePicture, PagePicture
from workbench.report.record import Record, load_record, results_of, write_record
from workbench.study import Better, Cheaper, Row, Study

FIGURES = (page.forest, page.quality, page.fronts, page.curves, page.loss_curves, page.precision, page.slices)


def still(piece: object) -> PagePicture:
    """The picture of a piece, be it alive or not."""
    picture = piece.picture if isinstance(piece, LivePicture) else piece
    assert isinstance(picture, PagePicture)
    return picture


@pytest.mark.slow
def test_the_csv_files_are_enough_for_all_but_the_networks(record: Record, home: Path) -> None:
    with_jobs = [figure(record) for figure in FIGURES]
    (home / "jobs").rename(home / "elsewhere")
    alone = load_record(run_in(home))
    assert not alone.folders and text(page.head(alone)) == text(page.head(record))
    assert "records.npz" in text(page.head(alone)) and "at commit abc" in text(page.head(alone))
    for figure, before in zip(FIGURES, with_jobs, strict=True):
        after = figure(alone)
        assert after == before, figure.__name__
        image = cv2.imdecode(np.frombuffer(still(after).png, np.uint8), cv2.IMREAD_COLOR)
        assert image is not None and image.std() > 5 and image.shape[1] >= 900
    for piece in (page.examples(alone), page.heatmaps(alone)):
        assert "not at hand" in text(piece)


@pytest.mark.slow
def test_a_picture_that_was_drawn_before_is_shown_again(record: Record, home: Path) -> None:
    (home / "jobs").rename(home / "elsewhere")
    kept = home / "reports/rendered/padding_small_examples.png"
    kept.parent.mkdir(parents=True)
    alone = load_record(run_in(home))
    kept.write_bytes(drawn.png(Figure(figsize=(1, 1)), networks_stamp(alone.stem)))
    assert still(page.examples(alone)).png == kept.read_bytes()
    data = home / "reports/data/padding_small.csv"
    data.write_text(data.read_text().replace("abc", "abd"))
    assert "of another record" in text(page.examples(alone)), "it was drawn of other runs"
    kept.write_bytes(drawn.png(Figure(figsize=(1, 1))))
    assert "or drawn otherwise" in text(page.examples(alone)), "it does not say what it was made of"


@pytest.mark.slow
def test_old_files_leave_figures_out_and_say_why(record: Record, home: Path) -> None:
    for part in PARTS:
        (home / f"reports/data/padding_small_{part}.csv").unlink(missing_ok=part == "audit")  # it has its own command
    old = load_record(run_in(home))
    for figure in (page.forest, page.curves, page.loss_curves, page.precision, page.points, page.kinds, page.slices):
        assert "left out" in text(figure(old))
    assert still(page.quality(old)) and still(page.fronts(old))
    assert "does not speak of it" in text(page.verdicts(old))
    assert "minutes |" not in text(page.ablation(old)), "a column that nothing is known of is left out"


@pytest.mark.slow
def test_a_page_says_the_same_with_and_without_jobs(home: Path) -> None:
    """Fewer or more seeds than the protocol has are neither lost nor taken for those of another version."""

    def said() -> list[str]:
        record = load_record(run_in(home))
        return [text(page.head(record)), text(page.again(record))]

    known, further = ([c for c in STUDY.planned_jobs(SETTING, 4) if c.seed == seed] for seed in (0, 3))
    for old, new in zip(known, further, strict=True):
        shutil.copytree(home / "jobs" / old.job.key, home / "jobs" / new.job.key)
    for seeds, done, asked in (
        (2, "6 of 6 runs", "padding --protocol small --seeds 2`"),
        (None, "12 of 12 runs", "4`"),
    ):
        write_record(run_in(home, seeds=seeds))
        here = said()
        (home / "jobs").rename(home / "elsewhere")
        assert said() == here
        (home / "elsewhere").rename(home / "jobs")
        assert done in here[0] and "earlier version" not in here[0] and asked in here[1]
        assert ("3 seeds per row, the record 2" in here[0]) == (seeds == 2)


def test_the_commands_of_a_page_say_all_that_was_changed(record: Record) -> None:
    assert "`nox -s study -- padding --protocol small`" in text(page.again(record))
    run = replace(record.run, changes={"recipe.lr": 0.1}, fingerprint="coco@abc")
    changed = text(page.again(replace(record, run=run)))
    assert "`nox -s report -- padding --protocol small --data FOLDER --set recipe.lr=0.1`" in changed


def test_the_head_says_what_is_missing_and_what_is_old(record: Record) -> None:
    assert "9 of 9 runs complete" in text(page.head(record)) and "Read with care" not in text(page.head(record))
    rows = (*STUDY.rows, Row("less", {"coords.padding": 1.1}))
    newer = Study("padding", "?", "a test", nano(), rows, STUDY.claims)
    runs = record.runs.assign(job=["gone", *record.runs["job"][1:]])
    head = text(page.head(replace(with_study(record, newer), jobs=tuple(newer.planned_jobs(SETTING)), runs=runs)))
    assert (
        "8 of 12 runs" in head and "lacks “less”" in head and "1 of 9 recorded runs are of an earlier version" in head
    )


def cells(table: str) -> dict[str, dict[str, str]]:
    """The cells of a Markdown table by row and column."""
    lines = [[cell.strip() for cell in line.strip("|").split("|")] for line in table.split("\n\n")[0].splitlines()]
    return {line[0]: dict(zip(lines[0], line, strict=True)) for line in lines[2:]}


def test_the_check_mark_table_says_what_rows_have_and_do(record: Record, home: Path) -> None:
    found = cells(text(page.ablation(record)))
    assert found["base"]["padding"] == "1.25" and found["more"]["padding"] == "1.5" and list(found) == list(FOUND)
    assert found["base"]["AP, %"] == "50.1\u00a0±\u00a00.1", "0, 1 and 2 thousandths above a half"
    assert found["more"]["AP, %"].startswith("**65.1") and not found["A/A"]["AP, %"].startswith("**")
    assert found["more"]["to the first"] == found["more"]["to the row above"] == "+15.0"
    assert found["A/A"]["to the row above"] == "-12.5" and found["base"]["to the first"] == ""
    # 2 epochs of 100 images at 50 images a second
    assert found["base"]["minutes"] == "0.1" and "latency, times the first" not in found["base"]


def test_five_seeds_are_not_compared_with_two(record: Record) -> None:
    """The row with one seed more is neither the best by it nor ahead by it."""
    lucky = record.runs[record.runs["row"] == "base"].iloc[:1].assign(seed=3, AP=5.0)
    more = replace(record, runs=pd.concat([record.runs, lucky], ignore_index=True))
    frame = tables.ablation_frame(more)
    assert frame.loc["base", "AP"] > 1 and not frame["best"].any(), "by all its seeds it is another one"
    assert tables.best_row(more, "AP") == "more" and cells(text(page.ablation(more)))["base"]["seeds"] == "4"
    assert "over the seeds that all rows have" in findings.quality_finding(more)
    assert (
        "seeds" not in cells(text(page.ablation(record)))["base"] and tables.ablation_frame(record).loc["more", "best"]
    )
    assert frame.loc["more", "first"] == pytest.approx(0.15)
    apart = record.runs.assign(seed=record.runs["seed"] + 10 * record.runs["row"].map(list(FOUND).index))
    alone = replace(record, runs=apart)
    assert np.isnan(tables.lead(alone, "more", "base")) and tables.best_row(alone, "AP") is None
    assert "no seed in common" in findings.quality_finding(alone)


def test_published_numbers_have_a_place_of_their_own(record: Record) -> None:
    assert cells(text(page.published(record))) == {
        "base": {"row": "base", "AP, %, published": "67.7", "where": "a paper"}
    }
    assert "67.7" not in text(page.ablation(record)) + text(page.table(record))
    none = with_study(record, replace(STUDY, rows=(replace(STUDY.rows[0], cited=None), *STUDY.rows[1:])))
    assert "No published number" in text(page.published(none))


def test_the_head_concludes_before_anything_else(record: Record) -> None:
    first = text(page.head(record)).split("\n\n")[1]
    assert first.startswith("1 of 1 claims is decided, from 3 seeds of each row;")
    assert "**Holds:** more is better (P1), +1" in first and "**Open:**" not in first


def test_a_latency_is_the_one_timed_side_by_side(record: Record) -> None:
    """Not the one taken at the end of a training run, whatever else the machine did."""
    assert "latency" not in text(page.ablation(record)).split("\n\n")[0]
    assert "left out" in text(page.front_table(record, "latency"))
    cost = pd.DataFrame({"row": ["base", "more"], "latency_ms_p50": [90.0, 135.0], "latency_ratio": [1.0, 1.5]})
    timed = replace(record, cost=cost.assign(size="640 x 640", threads="1", machine="box"))
    assert cells(text(page.ablation(timed)))["more"]["latency, times the first"] == "1.50"
    said = "latency of one image, ms (640 x 640 px, 1 thread, box)"
    assert said in text(page.front_table(timed, "latency"))
    fronts = {findings.cost_text(timed, cost): tables.front_frame(timed, cost) for cost in tables.COSTS}
    axes = drawn.fronts_figure(fronts, tables.labels(record), "title").axes
    assert [axis.get_xlabel().replace("\n", " ") for axis in axes] == [said, "10⁹ multiply-adds of one image"]


def test_under_a_probe_a_row_has_no_interval_over_trunks(record: Record) -> None:
    """Three trunks tens of AP apart would give every row an interval from 0 to 100."""
    wide = record.rows.assign(low=-0.1, high=1.1)
    probe = replace(record, runs=record.runs.assign(trunk="joint"), rows=wide)
    assert tables.front_frame(probe, "gflops")[["low", "high"]].isna().all().all()
    rows = tables.intervals_of_rows(probe.runs, wide)
    assert rows["low"].isna().all() and rows["images_low"].notna().all() and tables.interval_of(rows) == ""
    assert tables.intervals_of_rows(record.runs, wide)["low"].notna().all()


def test_runs_are_linked_where_they_were_recorded(record: Record) -> None:
    assert "left out" in text(page.runs(record))
    linked = replace(record, runs=record.runs.assign(mlflow=[f"1/{i}" for i in range(len(record.runs))]))
    assert "[seed 0](http://127.0.0.1:5000/#/experiments/1/runs/0" in text(page.runs(linked))


def test_the_noise_floor_is_the_base_with_other_seeds(record: Record) -> None:
    """20 against 21 persons of 40: within chance, so a claim of it is open."""
    ((pair, verdict),) = tables.seed_counts(record)
    floor = noise_floor(STUDY, results_of(record.run))
    assert pair["row"] == "A/A" and pair["mean"] == pytest.approx(np.mean(floor), abs=0.01) and verdict == "open"
    assert "differ by +2.0 AP" in text(page.flatness(record)) and ">open</b>, as it" in text(page.flatness(record))
    pairs = record.pairs.assign(low=0.01)
    assert "holds</b>, which is wrong" in text(page.flatness(replace(record, pairs=pairs)))
    assert tables.seed_counts(replace(record, pairs=pairs.assign(count=1)))[0][1] == "open", "one seed decides nothing"
    trunks = [pairs.assign(trunk=trunk, mean=mean) for trunk, mean in (("a", 0.1), ("b", -0.1))]
    assert tables.seed_counts(replace(record, pairs=pd.concat([pairs, *trunks])))[0][1] == "open", "trunks disagree"
    none = with_study(record, replace(STUDY, rows=STUDY.rows[:2]))
    assert "Noise floor" not in text(page.flatness(none))


@pytest.mark.slow
def test_rows_that_have_matched_nobody_still_have_figures(record: Record) -> None:
    nobody = replace(record, runs=record.runs.assign(AP=0.0, mOKS=0.0, NME=float("nan")))
    assert "No row has matched a person" in findings.quality_finding(nobody)
    assert "**" not in text(page.ablation(nobody)).split("\n\n")[0], "nothing is best at AP 0"
    for figure in FIGURES:
        assert still(figure(nobody))


def test_rows_that_run_one_network_have_no_front(record: Record) -> None:
    assert tables.alike(record) == ""
    same = replace(record, runs=record.runs.assign(gflops=0.5))
    assert "same parameters and multiply-adds" in text(page.fronts(same))
    assert "same parameters" in text(page.front_table(same, "gflops"))


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
    said = {line["claim"]: line["verdict"] for line in tables.verdicts_frame(timed).to_dict("records")}
    assert said["K1"] == "holds" and said["K2"] == "open" and set(said) == {"P1", "K1", "K2"}


@pytest.mark.slow
def test_a_metric_that_is_added_to_the_table_is_in_every_part_of_a_report(
    home: Path, added: Metric, capsys: pytest.CaptureFixture[str]
) -> None:
    for file in home.glob("jobs/*/result.json"):
        result = json.loads(file.read_text())
        result["metrics"][added.name] = metric_from_records(
            MatchRecords.load(file.with_name("records.npz")), metric=added.name
        )
        file.write_text(json.dumps(result))
    asked = replace(STUDY, claims=(Better("P1", "more is better", "more", "base", added.name),))
    run = replace(run_in(home), study=asked)
    write_record(run)
    found = load_record(run)
    base, more = ((v if added.better == "higher" else 1 - v) for v in (20 / 40, 26 / 40))  # of the persons
    assert found.rows.set_index(["row", "metric"]).loc[("base", added.name), "mean"] == pytest.approx(base, abs=0.02)
    assert added.name in found.slices and found.slices[added.name].notna().all()
    assert tables.table_frame(found)[added.name]["more"] == pytest.approx(more, abs=0.02)
    assert tables.verdicts_frame(found)["verdict"].tolist() == ["holds"]
    shown = text(page.table(found))
    assert f"| {added.name} |" in shown and f"| {added.text(tables.table_frame(found)[added.name]['base'])} |" in shown
    assert (f"{added.name}, in percent, is {added.meaning}." in shown) == bool(added.meaning)
    labels = [axis.get_xlabel() for axis in drawn.quality_figure(found.runs, found.rows, ["base", "more"], "t").axes]
    assert labels[-1] == added.label and len(labels) == 4
    console.print_table(run, results_of(run))
    assert added.name in capsys.readouterr().out
