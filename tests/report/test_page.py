"""Whole pages: what they say, from the files of the record alone."""

import json
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.report.made_up import FIGURES, SETTING, STUDY, copied, run_in, still, text
from workbench.evaluation.bootstrap import metric_from_records
from workbench.evaluation.metrics import Metric
from workbench.evaluation.records import MatchRecords
from workbench.experiments import console
from workbench.report import page, tables
from workbench.report.figures import quality_figure
from workbench.report.freshness import PARTS
from workbench.report.record import Record, load_record, results_of, write_record
from workbench.report.verdict_frames import verdicts_frame
from workbench.study import Better


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
        return [text(page.head(record)), text(page.reproduce(record))]

    known, further = ([c for c in STUDY.planned_jobs(SETTING, 4) if c.seed == seed] for seed in (0, 3))
    for old, new in zip(known, further, strict=True):
        copied(home, old.job.key, new.job.key)
    for seeds, done, asked in (
        (2, "6 of 6 runs", "padding --protocol small --seeds 2`"),
        (4, "12 of 12 runs", "4`"),
    ):
        write_record(run_in(home, seeds=seeds))
        here = said()
        (home / "jobs").rename(home / "elsewhere")
        assert said() == here
        (home / "elsewhere").rename(home / "jobs")
        assert done in here[0] and "earlier version" not in here[0] and asked in here[1]
        assert ("3 seeds per row, the record 2" in here[0]) == (seeds == 2)


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
    assert verdicts_frame(found)["verdict"].tolist() == ["holds"]
    shown = text(page.table(found))
    assert f"| {added.name} |" in shown and f"| {added.text(tables.table_frame(found)[added.name]['base'])} |" in shown
    assert (f"{added.name}, in percent, is {added.meaning}." in shown) == bool(added.meaning)
    labels = [axis.get_xlabel() for axis in quality_figure(found.runs, found.rows, ["base", "more"], "t").axes]
    assert labels[-1] == added.label and len(labels) == 4
    console.print_table(run, results_of(run))
    assert added.name in capsys.readouterr().out
