"""The record of a study as files: every run, every claim, and how sure each row is."""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from tests.matched import records
from tests.report.made_up import ROOT, SETTING, STUDY, copied, run_in
from workbench.core.errors import Refused
from workbench.evaluation.metrics import METRICS, PERCENT
from workbench.experiments.plan import SequentialSettings
from workbench.report.record import base_row, load_record, results_of, rows_frame, write_record
from workbench.report.reproduce import page_command
from workbench.report.verdict_frames import verdicts_frame
from workbench.study import Row


@pytest.mark.slow
def test_every_run_and_every_claim_is_in_the_files(home: Path) -> None:
    paths = write_record(run_in(home))
    assert len(paths) == 8 and all(path.stat().st_size for path in paths)
    runs = pd.read_csv("reports/data/padding_small.csv")
    assert len(runs) == 9 and set(runs["seed"]) == {0, 1, 2, 100, 101, 102}
    assert {"commit", "machine", "threads", "protocol"} <= set(runs) and set(runs["commit"]) == {"abc"}
    claims: Any = pd.read_csv("reports/data/padding_small_claims.csv")
    assert claims["mean"][0] == pytest.approx(0.15, abs=0.03) and claims["verdict"][0] == "holds"
    assert claims["row"][0] == "more" and claims["than"][0] == "base"
    assert claims["mOKS_verdict"][0] == "holds" and claims["mOKS_mean"][0] > 0
    assert (
        claims["p"][0] < 0.05
        and "mOKS holds, +15.0; NME open" in verdicts_frame(load_record(run_in(home)))["beside"][0]
    )
    curves = pd.read_csv("reports/data/padding_small_curves.csv")
    assert len(curves) == 27


@pytest.mark.slow
def test_the_file_of_claims_knows_how_seeds_were_added(home: Path) -> None:
    write_record(run_in(home))
    assert load_record(run_in(home)).until is None
    for settings in (SequentialSettings(3, 9), SequentialSettings(3)):
        run_in(home).write_settings(settings)
        write_record(run_in(home))
        assert load_record(run_in(home / "elsewhere")).until == settings, "it follows from the files alone"


@pytest.mark.slow
def test_a_row_has_an_interval_over_images_and_one_over_seeds(home: Path) -> None:
    write_record(run_in(home))
    rows = pd.read_csv("reports/data/padding_small_rows.csv").set_index(["row", "metric"])
    base: Any = rows.loc["base", "mOKS"]
    # half of the persons are found: the mean of 40 draws of 0 or 1 has a standard deviation of 0.079
    assert base["mean"] == pytest.approx(0.5) and base["runs"] == base["seeds"] == base["count"] == 3
    assert base["images_low"] == pytest.approx(0.5 - 1.96 * 0.079, abs=0.01)
    assert base["images_high"] == pytest.approx(0.5 + 1.96 * 0.079, abs=0.01)
    assert base["seeds_low"] == base["seeds_high"] == 0.5, "the records of the seeds are equal"
    assert base["low"] == base["images_low"], "the wider one is given"


def test_under_a_probe_a_row_is_as_uncertain_as_its_trunks(home: Path) -> None:
    """Trunks that find 10, 20 and 30 of 40: Student's interval over three, however sure each one is of its images."""
    results = [
        (replace(cell, trunk=trunk, seed=0), result)
        for (cell, result), trunk in zip(results_of(run_in(home))[::4], ("a", "b", "c"), strict=False)
    ]
    for (_, result), found in zip(results, (10, 20, 30), strict=True):
        records(found).save(result.folder / "records.npz")
    results = [(replace(cell, row="base"), result) for cell, result in results]
    line: Any = rows_frame(STUDY, results).set_index("metric").loc["mOKS"]
    assert line["mean"] == pytest.approx(0.5) and line["count"] == 3 and line["seeds"] == 1
    assert line["high"] - line["mean"] == pytest.approx(4.303 * 0.25 / 3**0.5, abs=0.05)
    assert line["images_high"] - line["mean"] < 0.2


def test_rows_are_compared_with_the_published_one_or_the_unchanged_one() -> None:
    first, more, cited = Row("first", {"coords.padding": 1.1}), Row("more", {"coords.padding": 1.5}), STUDY.rows[0]
    plain = replace(cited, cited=None)
    for rows, base in (
        ((first, plain, replace(more, cited=cited.cited)), "more"),
        ((first, plain, more), "base"),
        ((first, more), "first"),
    ):
        assert base_row(replace(STUDY, rows=rows, claims=())).label == base


def test_further_seeds_are_counted_only_if_they_are_asked_for(home: Path) -> None:
    """A repeat with another first seed has them in the same home, and is another plan."""
    known, further = ([c for c in STUDY.planned_jobs(SETTING, 4) if c.seed == seed] for seed in (0, 3))
    for old, new in zip(known, further, strict=True):
        copied(home, old.job.key, new.job.key)
    assert {one.seed for one, _ in results_of(run_in(home))} == {0, 1, 2}
    assert {one.seed for one, _ in results_of(run_in(home, seeds=4))} == {0, 1, 2, 3}
    assert len(results_of(run_in(home, seeds=2))) == 6


def test_a_repeat_is_a_record_of_its_own(home: Path) -> None:
    """Of the seeds from the first one on, with the command that makes it again."""
    run = replace(run_in(home, seeds=2), first_seed=1)
    write_record(run)
    record = load_record(replace(run, seeds=None))
    assert {one.seed for one in record.jobs} == {1, 2} == set(record.runs["seed"]) - {101, 102} and record.seeds == 2
    assert record.stem != run_in(home).stem and "--first-seed 1" in page_command(record)


def test_a_study_that_was_not_run_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(Refused, match="nothing of padding, small is complete"):
        write_record(run_in(tmp_path))
    with pytest.raises(Refused, match="there is no"):
        load_record(run_in(tmp_path))


@pytest.mark.parametrize(
    "path", sorted((ROOT / "reports/data").glob("*_claims.csv")), ids=lambda path: path.stem.removesuffix("_claims")
)
def test_the_sentences_of_a_committed_record_have_the_unit_of_its_numbers(path: Path) -> None:
    """AP in points, not as a fraction: of an older record sentences and numbers would contradict each other."""
    claims: Any = pd.read_csv(path)
    for claim in claims[claims["metric"].isin(list(METRICS))].to_dict("records"):
        said = re.search(r"difference ([+-][\d.]+)", claim["reason"])
        if said and METRICS[claim["metric"]].shown is PERCENT:
            assert float(said[1]) == pytest.approx(100 * claim["mean"], abs=0.006), f"{claim['claim']}: {said[0]}"
        assert not re.search(r"[+-]0\.\d{4}(?!\d)", claim["reason"]), claim["claim"]
