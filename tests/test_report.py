"""The record of a study as files: every run in it, tables from the numbers, a picture that can be opened."""

import json
from pathlib import Path
from typing import Any

import cv2
import pandas as pd
import pytest

from tests.test_judge import records
from workbench import report, show
from workbench.errors import Refused
from workbench.judge import noise_floor
from workbench.presets import nano
from workbench.run import FLAT, last_gain
from workbench.study import Better, Row, Setting, Study
from workbench.variant import Protocol

STUDY = Study(
    name="padding",
    question="How much padding?",
    source="a test",
    base=nano(),
    rows=(Row("base"), Row("more", {"coords.padding": 1.5}), Row("A/A", seed_offset=100)),
    claims=(Better("P1", "more is better", "more", "base"),),
)
SETTING = Setting("small", "three seeds", Protocol(size=(96, 96), epoch_images=100), seeds=3)
FOUND = {"base": 20, "more": 26, "A/A": 21}


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Complete jobs with known numbers; files are written below the test's own folder."""
    monkeypatch.chdir(tmp_path)
    for cell in STUDY.cells(SETTING):
        folder = tmp_path / "jobs" / cell.job.key
        folder.mkdir(parents=True)
        ap = FOUND[cell.row] / 40 + cell.seed / 1000
        records(FOUND[cell.row]).save(folder / "records.npz")
        (folder / "curve.csv").write_text(f"epoch,AP\n1.0,{ap / 2}\n2.0,{ap}\n")
        tags = {"commit": "abc", "machine": "m", "threads": "1", "precision": "float32"}
        data = {"key": cell.job.key, "metrics": {"AP": ap, "params": 2e6}, "tags": tags}
        (folder / "result.json").write_text(json.dumps(data))
    return tmp_path


def test_every_run_and_every_claim_is_in_the_files(home: Path) -> None:
    paths = report.write_report(STUDY, SETTING, home)
    runs = pd.read_csv(home / "reports/data/padding_small.csv")
    assert len(runs) == 9 and set(runs["commit"]) == {"abc"} and set(runs["seed"]) == {0, 1, 2, 100, 101, 102}
    claims: Any = pd.read_csv(home / "reports/data/padding_small_claims.csv")
    assert claims["mean"][0] == pytest.approx(0.15, abs=0.03) and claims["verdict"][0] in ("holds", "open")
    page = (home / "reports/rendered/padding_small.md").read_text()
    assert "9 of 9 runs complete" in page and "| more | 3 | 65.1 |" in page and "P1" in page
    pictures = [p for p in paths if p.suffix == ".png"]
    assert pictures and all((image := cv2.imread(str(p))) is not None and image.std() > 1 for p in pictures)
    for line in page.splitlines():
        if line.startswith("!["):
            assert (home / "reports/rendered" / line.partition("(./")[2].rstrip(")")).is_file()


def test_the_noise_floor_is_the_base_with_other_seeds(home: Path) -> None:
    results = report.results_of(STUDY, SETTING, home)
    assert noise_floor(STUDY, results) == pytest.approx([1 / 40] * 3)
    assert noise_floor(STUDY, [r for r in results if r[0].row != "A/A"]) == []


def test_a_curve_that_still_rises_is_not_flat(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    results = report.results_of(STUDY, SETTING, home)
    assert all((last_gain(result.curve) or 0) > FLAT for _, result in results)
    show.warnings(results)
    assert "9 of 9 curves still move" in capsys.readouterr().out
    assert last_gain([{"epoch": 4.0, "AP": 0.5}, {"epoch": 8.0, "AP": 0.501}]) == pytest.approx(0.001)
    assert last_gain([{"epoch": 4.0, "AP": 0.5}]) is None


def test_a_study_that_was_not_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="nothing of padding, small is complete"):
        report.write_report(STUDY, SETTING, tmp_path)
