"""The record of a study as files, and what a page says from these files alone."""

import ast
import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from tests.experiments.test_claims import records
from workbench import __main__ as command
from workbench import study
from workbench.core.errors import Refused
from workbench.data.synthetic.dataset import SyntheticScenes
from workbench.evaluation.bootstrap import metric_from_records
from workbench.evaluation.metrics import Metric
from workbench.evaluation.records import MatchRecords
from workbench.experiments import console, profiling, protocols
from workbench.experiments.claims import noise_floor
from workbench.experiments.plan import StudyRun
from workbench.experiments.profiling import Measurement, Reading
from workbench.models.job import Protocol
from workbench.models.zoo import nano
from workbench.report import figures as drawn
from workbench.report import findings, page, tables
from workbench.report.page import PagePicture, Text
from workbench.report.record import Record, base_row, load_record, results_of, rows_frame, write_record
from workbench.report.render import write_profile
from workbench.report.slices import images_frame, slices_of
from workbench.study import Better, Cheaper, Cited, Row, Study, StudyProtocol, TimingStudy
from workbench.training.record import FLAT, last_gain

ROOT = Path(__file__).parents[2]
STUDY = Study(
    name="padding",
    question="How much padding?",
    source="a test",
    base=nano(),
    rows=(
        Row("base", cited=Cited(67.7, "a paper")),
        Row("more", {"coords.padding": 1.5}),
        Row("A/A", seed_offset=100),
    ),
    claims=(Better("P1", "more is better", "more", "base"),),
)
SETTING = StudyProtocol("small", "three seeds", Protocol(size=(96, 96), epoch_images=100, eval_images=40), seeds=3)
FOUND = {"base": 20, "more": 26, "A/A": 21}  # of 40 images, those in which the person is found
FIGURES = (page.forest, page.quality, page.fronts, page.curves, page.slices)


def run_in(home: Path, **options: Any) -> StudyRun:
    return StudyRun(STUDY, SETTING, home, **options)


def with_study(record: Record, study: Study) -> Record:
    """The record, read by another version of its study."""
    return replace(record, run=replace(record.run, study=study))


def complete(home: Path, study: Study, setting: StudyProtocol, found: Callable[[str], int]) -> None:
    """Folders of complete jobs with known numbers; the images are the embedded validation scenes."""
    for cell in study.planned_jobs(setting):
        folder = home / "jobs" / cell.job.key
        folder.mkdir(parents=True)
        ap, match = found(cell.row) / 40 + cell.seed / 1000, records(found(cell.row))
        replace(match, image_ids=match.image_ids + 10_000_000).save(folder / "records.npz")
        (folder / "curve.csv").write_text(f"epoch,AP\n1.0,{ap / 2}\n2.0,{ap}\n")
        tags = {"commit": "abc", "machine": "m", "threads": "1", "precision": "float32"}
        metrics = {"AP": ap, "mOKS": ap + 0.1, "NME": 0.2 - ap / 10, "params": 2e6, "gflops": ap}
        metrics |= {"latency_ms_p50": 8.0 + cell.seed, "latency_ratio": 1.0 + ap}
        (folder / "result.json").write_text(json.dumps({"key": cell.job.key, "metrics": metrics, "tags": tags}))


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Complete jobs with known numbers, and their record. It takes a second: tests work on copies."""
    folder = tmp_path_factory.mktemp("written")
    complete(folder, STUDY, SETTING, FOUND.__getitem__)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr("workbench.report.slices.FEWEST", 3)  # of 40 images
        write_record(run_in(folder))
    return folder


@pytest.fixture
def home(written: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The jobs alone; files are written below the test's own folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("workbench.report.slices.FEWEST", 3)
    shutil.copytree(written / "jobs", tmp_path / "jobs")
    return tmp_path


@pytest.fixture
def record(written: Path, home: Path) -> Record:
    shutil.copytree(written / "reports", home / "reports")
    return load_record(run_in(home))


def text(piece: Any) -> str:
    assert isinstance(piece, Text)
    return piece.text


# ---------------------------------------------------------------------------------------------------------- files


@pytest.mark.slow
def test_every_run_and_every_claim_is_in_the_files(home: Path) -> None:
    paths = write_record(run_in(home))
    assert len(paths) == 6 and all(path.stat().st_size for path in paths)
    runs = pd.read_csv("reports/data/padding_small.csv")
    assert len(runs) == 9 and set(runs["seed"]) == {0, 1, 2, 100, 101, 102}
    assert {"commit", "machine", "threads", "protocol"} <= set(runs) and set(runs["commit"]) == {"abc"}
    claims: Any = pd.read_csv("reports/data/padding_small_claims.csv")
    assert claims["mean"][0] == pytest.approx(0.15, abs=0.03) and claims["verdict"][0] == "holds"
    assert claims["row"][0] == "more" and claims["than"][0] == "base"
    curves = pd.read_csv("reports/data/padding_small_curves.csv")
    assert len(curves) == 18


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


def test_pairs_hold_the_claims_and_every_row_against_the_base(record: Record) -> None:
    pairs = tables.forest_frame(record)
    assert [(c, r, t) for c, r, t in pairs[["claim", "row", "than"]].itertuples(index=False)] == [
        ("P1", "more", "base"),
        ("", "more", "base"),
        ("", "A/A", "base"),
    ]
    assert (pairs["low"] <= pairs["mean"]).all() and (pairs["mean"] <= pairs["high"]).all()
    assert {"images_low", "images_high", "seeds_low", "seeds_high"} <= set(pairs)


def test_rows_are_compared_with_the_published_one_or_the_unchanged_one() -> None:
    first, more, cited = Row("first", {"coords.padding": 1.1}), Row("more", {"coords.padding": 1.5}), STUDY.rows[0]
    plain = replace(cited, cited=None)
    for rows, base in (
        ((first, plain, replace(more, cited=cited.cited)), "more"),
        ((first, plain, more), "base"),
        ((first, more), "first"),
    ):
        assert base_row(replace(STUDY, rows=rows, claims=())).label == base


def test_further_seeds_count_where_every_row_has_them_and_no_number_is_given(home: Path) -> None:
    """One of them alone may belong to another study."""
    known, further = ([c for c in STUDY.planned_jobs(SETTING, 4) if c.seed == seed] for seed in (0, 3))
    for number, (old, new) in enumerate(zip(known, further, strict=True), 1):
        shutil.copytree(home / "jobs" / old.job.key, home / "jobs" / new.job.key)
        seeds = [cell.seed for cell, _ in results_of(run_in(home))]
        assert seeds.count(3) == (3 if number == 3 else 0) and len(seeds) == 9 + seeds.count(3)
    assert len(results_of(run_in(home, seeds=2))) == 6


def test_a_study_that_was_not_run_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(Refused, match="nothing of padding, small is complete"):
        write_record(run_in(tmp_path))
    with pytest.raises(Refused, match="there is no"):
        load_record(run_in(tmp_path))


# --------------------------------------------------------------------------------------------------------- slices


def test_the_crowd_index_is_that_of_the_renderer() -> None:
    truth = SyntheticScenes("easy", 64, count=40, start=10_000_000).coco()
    known = images_frame(truth)
    bare = {**truth, "images": [{k: v for k, v in i.items() if k != "crowdIndex"} for i in truth["images"]]}
    assert known["crowding"].max() > 0
    np.testing.assert_allclose(images_frame(bare)["crowding"], known["crowding"], atol=1e-6)


def test_slices_are_disjoint_and_cover_every_image_with_a_person() -> None:
    images = pd.DataFrame(
        {"image": range(90), "size": np.arange(90.0), "crowding": [0.0] * 60 + [0.5] * 25 + [0.9] * 5}
    )
    found = slices_of(images)
    by = {name: [ids for what, ids in found if what["by"] == name] for name in ("size", "crowding")}
    assert [len(ids) for ids in by["size"]] == [30, 30, 30] and set.union(*by["size"]) == set(range(90))
    assert [len(ids) for ids in by["crowding"]] == [60, 25], "five images are too few to show"


def test_a_slice_has_the_numbers_of_its_images(record: Record) -> None:
    truth = SyntheticScenes("easy", 96, count=40, start=10_000_000).coco()
    slices = {(w["by"], w["slice"]): ids for w, ids in slices_of(images_frame(truth))}
    assert len(slices) >= 1
    base = record.slices[(record.slices["row"] == "base") & (record.slices["seed"] == 0)]
    for line in base.to_dict("records"):
        ids = slices[line["by"], line["slice"]]
        found = np.mean([i - 10_000_000 < FOUND["base"] for i in ids])  # the first 20 images are right
        assert line["images"] == len(ids) and line["mOKS"] == pytest.approx(found, abs=1e-5)


# ------------------------------------------------------------------------------------------------- what a page says


@pytest.mark.slow
def test_the_csv_files_are_enough_for_all_but_the_networks(record: Record, home: Path) -> None:
    with_jobs = [figure(record) for figure in FIGURES]
    (home / "jobs").rename(home / "elsewhere")
    alone = load_record(run_in(home))
    assert not alone.folders and text(page.head(alone)) == text(page.head(record))
    assert "records.npz" in text(page.head(alone)) and "at commit abc" in text(page.head(alone))
    for figure, before in zip(FIGURES, with_jobs, strict=True):
        after = figure(alone)
        assert isinstance(after, PagePicture) and after == before, figure.__name__
        image = cv2.imdecode(np.frombuffer(after.png, np.uint8), cv2.IMREAD_COLOR)
        assert image is not None and image.std() > 5 and image.shape[1] >= 900
    for piece in (page.examples(alone), page.heatmaps(alone)):
        assert "not at hand" in text(piece)


def test_a_picture_that_was_drawn_before_is_shown_again(record: Record, home: Path) -> None:
    (home / "jobs").rename(home / "elsewhere")
    kept = home / "reports/rendered/padding_small_examples.png"
    kept.parent.mkdir(parents=True)
    kept.write_bytes(b"a picture")
    again = page.examples(load_record(run_in(home)))
    assert isinstance(again, PagePicture) and again.png == b"a picture"


def test_old_files_leave_figures_out_and_say_why(record: Record, home: Path) -> None:
    for part in ("pairs", "rows", "slices", "curves", "claims"):
        (home / f"reports/data/padding_small_{part}.csv").unlink()
    old = load_record(run_in(home))
    for figure in (page.forest, page.curves, page.slices):
        assert "left out" in text(figure(old))
    assert isinstance(page.quality(old), PagePicture) and isinstance(page.fronts(old), PagePicture)
    assert "does not speak of it" in text(page.verdicts(old))
    assert "holds no intervals" in text(page.table(old))


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


def test_published_stands_beside_measured(record: Record) -> None:
    head, _, base, more, _ = text(page.table(record)).splitlines()[:5]
    cells = dict(zip(head.strip("| ").split(" | "), base.strip("| ").split(" | "), strict=True))
    assert cells["AP, published"] == "67.7 (a paper)" and cells["AP, measured"] == "50.1" and cells["seeds"] == "3"
    assert "not available" in more and " to " in cells["95 % interval"]
    # 8, 9 and 10 ms over ratios of 1.5, 1.501 and 1.502: the reference takes their middle, 9 / 1.5 ms or so
    assert float(cells["latency, ms"]) == pytest.approx(9.0, abs=1.0)


def test_a_latency_says_under_what_conditions(record: Record) -> None:
    said = "latency of one image, ms (96 x 96 px, 1 thread, m)"
    assert said in text(page.front_table(record, "latency")) and said in text(page.table(record))
    fronts = {findings.cost_text(record, cost): tables.front_frame(record, cost) for cost in tables.COSTS}
    axes = drawn.fronts_figure(fronts, tables.labels(record), "title").axes
    assert [axis.get_xlabel().replace("\n", " ") for axis in axes] == [said, "10⁹ multiply-adds of one image"]


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


def test_a_curve_that_still_rises_is_not_flat(record: Record, home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    results = results_of(run_in(home))
    assert all((last_gain(result.curve) or 0) > FLAT for _, result in results)
    console.print_warnings(results)
    assert "9 of 9 curves still move" in capsys.readouterr().out
    assert last_gain([{"epoch": 4.0, "AP": 0.5}, {"epoch": 8.0, "AP": 0.501}]) == pytest.approx(0.001)
    assert last_gain([{"epoch": 4.0, "AP": 0.5}]) is None
    gains = tables.gains_frame(record)
    assert len(gains) == 9 and tables.flat(gains) == 0
    assert findings.curves_finding(gains).startswith(
        "0 of 9 curves are flat"
    ) and "more still rises" in findings.curves_finding(gains)
    assert findings.curves_finding(gains.assign(gain=0.001)) == "9 of 9 curves are flat at the end"


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
    assert lines["base"]["beaten by"] == "more" and lines["more"]["front"]


@pytest.mark.slow
def test_rows_that_have_matched_nobody_still_have_figures(record: Record) -> None:
    nobody = replace(record, runs=record.runs.assign(AP=0.0, mOKS=0.0, NME=float("nan")))
    assert "no row has matched a person" in findings.quality_finding(nobody)
    for figure in FIGURES:
        assert isinstance(figure(nobody), PagePicture)


def test_rows_that_run_one_network_have_no_front(record: Record) -> None:
    assert tables.alike(record) == ""
    same = replace(record, runs=record.runs.assign(gflops=0.5))
    assert "same parameters and multiply-adds" in text(page.fronts(same)) and "ms, differ by" in tables.alike(same)
    assert "same parameters" in text(page.front_table(same, "gflops"))


def test_titles_follow_the_numbers() -> None:
    verdict = {"holds": "C1", "fails": "C2", "open": "C3"}
    frame = pd.DataFrame(
        [
            {"claim": c, "verdict": v, "trunk": "", "mean": 0.031, "metric": "AP", "row": "a", "than": "b", "low": 0.0}
            | {"high": 1.0}
            for v, c in verdict.items()
        ]
    )
    assert findings.claims_finding(frame) == "holds: C1; fails: C2; open: C3"
    assert findings.forest_finding(frame) == "holds: C1 (+3.1 AP); fails: C2 (+3.1 AP); open: C3 (+3.1 AP)"
    assert "No claim is decided" in findings.forest_finding(frame[frame["verdict"] == "open"])
    bare = frame.assign(claim="", low=[-1.0, 0.01, -0.5])
    assert findings.forest_finding(bare) == "1 of 3 intervals of rows − b leave out 0, not corrected"
    means = pd.DataFrame({"few": [0.5, 0.6], "many": [0.4, 0.55]}, index=["a", "b"])
    assert findings.slices_finding(means, "crowding").endswith("-10.0 AP (a) to -5.0 AP (b)")


def test_a_best_row_is_named_only_as_far_as_chance_allows(record: Record) -> None:
    """`more` has the highest AP; the record has its difference from `base`, which is both the next and the base."""
    pair = {"claim": "", "row": "more", "than": "base", "metric": "AP", "trunk": ""}

    def said(low: float, **changes: str) -> str:
        pairs = pd.DataFrame([pair | {"low": low, "high": 0.2} | changes])
        return findings.quality_finding(replace(record, pairs=pairs)).partition(";")[0]

    assert said(0.1) == "more: highest AP, 65.1 %, above base by more than chance explains"
    assert said(-0.01) == "more: highest AP by the means, 65.1 %, not above base by more than chance explains"
    assert said(0.1, metric="NME") == said(0.1, trunk="a") == "more: highest AP by the means, 65.1 %"
    turned = {"row": "base", "than": "more"}
    assert "not above base" in said(-0.3, **turned), "the difference the other way round reaches to 0.2"
    third = replace(record.study, rows=(*STUDY.rows[:2], Row("third", {"coords.padding": 1.1})))
    runs = pd.concat([record.runs, record.runs[record.runs["row"] == "base"].assign(row="third", AP=0.6)])
    distant = replace(with_study(record, third), runs=runs, pairs=pd.DataFrame([pair | {"low": 0.1, "high": 0.2}]))
    assert "by the means, 65.1 %, above base by more than chance explains" in findings.quality_finding(distant)


# -------------------------------------------------------------------------------------------------------- drawing


def figures(record: Record) -> dict[str, Any]:
    rows = tables.labels(record)
    fronts = {cost: tables.front_frame(record, cost) for cost in tables.COSTS}
    means = {"size": tables.slices_mean(record, "size")}
    persons = {"size": dict.fromkeys(means["size"].columns, 10)}
    latency = pd.DataFrame({"method": ["a", "a"], "persons": [1, 4], "p50": [5.0, 6.0], "p90": [6.0, 7.0]})
    latency = latency.assign(size="640 x 640", threads="1", machine="box")
    return {
        "forest": drawn.forest_figure(tables.forest_frame(record), "title"),
        "quality": drawn.quality_figure(record.runs, record.rows, rows, "title"),
        "fronts": drawn.fronts_figure(fronts, rows, "title"),
        "curves": drawn.curves_figure(tables.bands_frame(record), rows, "title"),
        "slices": drawn.slices_figure(means, persons, rows, "title"),
        "persons": drawn.persons_figure(latency, "title"),
    }


@pytest.mark.slow
def test_axes_have_names_and_legends_do_not_cover_data(record: Record) -> None:
    for name, figure in figures(record).items():
        drawn.png(figure)  # lays it out
        renderer = FigureCanvasAgg(figure).get_renderer()
        (legend,) = figure.legends
        box = legend.get_window_extent(renderer)
        for axis in figure.axes:
            assert axis.get_xlabel(), name
            assert not box.overlaps(axis.get_window_extent(renderer)), name
        assert box.x0 >= 0 and box.x1 <= figure.bbox.x1 and box.y0 >= 0, name
        assert figure.axes[0].get_ylabel() or name in ("forest", "quality"), name


def test_rows_can_be_told_apart_by_colour_and_by_marker() -> None:
    look = drawn.styles([str(i) for i in range(16)])
    assert len({(s.colour, s.marker) for s in look.values()}) == 16
    assert len({s.colour for s in list(look.values())[:8]}) == len({s.marker for s in list(look.values())[:8]}) == 8


def profiled(way: str, persons: int, ms: float) -> Reading:
    return Reading(f"{way}, {persons}", persons, way, 2_000_000, 1.5, (ms,) * 20)


PERSONS = [("kept", 0, 300.0), ("kept", 8, 310.0), ("kept", 16, 330.0)]
PERSONS += [("crops", 1, 20.0), ("crops", 8, 210.0), ("crops", 16, 430.0)]
CONDITIONS = {"size": "640 x 640", "rounds": "20", "threads": "1", "precision": "float32", "machine": "box"}
CONDITIONS |= {"others": "1.1", "commit": "abc"}


def write_persons(name: str, lines: Sequence[tuple[str, int, float]]) -> None:
    readings = tuple(profiled(*line) for line in lines)
    found = Measurement(readings, CONDITIONS, twin=readings[0].ms)
    profiling.write_costs(TimingStudy(name, "?", "a test", nano(), ()), found, [])


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


def test_the_title_of_persons_speaks_of_rtmo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    kept, rtmo = PERSONS[:3], "RTMO: 330 ms with 16 persons, 300 with none"
    for crops, said in (
        (PERSONS[3:], "; one crop each costs more from about 12 on"),  # -100 ms with 8, +100 with 16
        ([("crops", 1, 20.0), ("crops", 16, 30.0)], "; one crop each costs less up to 16"),
        ([("crops", 8, 400.0), ("crops", 16, 800.0)], "; one crop each always costs more"),
        ([], ""),
    ):
        write_persons("people", [*kept, *crops])
        assert findings.persons_finding(tables.persons_frame("people")) == rtmo + said


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


# ------------------------------------------------------------------------------------------------------- notebooks


def test_notebooks_have_no_logic_and_no_outputs() -> None:
    found = sorted((ROOT / "reports").glob("*.ipynb"))
    assert [path.stem for path in found] == ["ablation", "pareto", "persons"]
    for path in found:
        cells = [cell for cell in json.loads(path.read_text())["cells"] if cell["cell_type"] == "code"]
        assert cells[0]["metadata"]["tags"] == ["parameters"]
        for cell in cells:
            assert cell["outputs"] == [] and cell["execution_count"] is None, path
            for line in ast.parse("".join(cell["source"])).body:
                assert isinstance(line, ast.ImportFrom | ast.Assign | ast.Expr), path
                if isinstance(line, ast.Expr):
                    assert isinstance(line.value, ast.Call) and ast.unparse(line.value.func).startswith("page."), path


@pytest.mark.slow
def test_the_command_writes_pages_that_need_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked, setting = study.find_study("ablate_dcc"), protocols.protocol_named("smoke")
    assert isinstance(asked, Study)
    complete(tmp_path, asked, setting, lambda row: 10 + 2 * len(row))
    (tmp_path / "reports").mkdir()
    for path in (ROOT / "reports").glob("*.ipynb"):
        (tmp_path / "reports" / path.name).write_bytes(path.read_bytes())
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WORKBENCH_HOME", str(tmp_path))
    assert command.main(["report", "ablate_dcc", "--protocol", "smoke"]) == 0
    rendered = tmp_path / "reports/rendered"
    written = capsys.readouterr().out.splitlines()
    assert len(written) > 6 and all((tmp_path / line).is_file() for line in written)
    html = (rendered / "ablate_dcc_smoke.html").read_text()
    assert "regression" in html and html.count("data:image/png;base64,") == 4
    assert "<script" not in html and 'src="http' not in html and "page.head" not in html and len(html) < 2e6
    markdown = (rendered / "ablate_dcc_smoke.md").read_text()
    pictures = [line for line in markdown.splitlines() if line.startswith("![")]
    assert len(pictures) == 4 and "page.head" not in markdown
    for line in pictures:
        assert cv2.imread(str(rendered / line.partition("(./")[2].rstrip(")"))) is not None, line
    assert (rendered / "ablate_dcc_smoke_pareto.md").exists()


@pytest.mark.slow
def test_the_page_of_persons_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    asked = study.find_study("profile_persons")
    assert isinstance(asked, TimingStudy)
    with pytest.raises(Refused, match="run the study first"):
        write_profile(asked)
    write_persons(asked.name, PERSONS)
    (tmp_path / "reports/persons.ipynb").write_bytes((ROOT / "reports/persons.ipynb").read_bytes())
    paths = write_profile(asked)
    assert sorted(path.name for path in paths) == [f"profile_persons{end}" for end in (".html", ".md", "_persons.png")]
    said = Path("reports/rendered/profile_persons.md").read_text()
    assert "RTMO: 330 ms with 16 persons" in said and "256 x 192 px per person" in said
    assert "| RTMO: kept persons only | 300.0 (0) | 330.0 (16) | 1.10 |" in said


# --------------------------------------------------------------------------------------------------------- metrics


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
