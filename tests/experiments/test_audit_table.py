"""An audit on the terminal and as a file."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from tests.experiments.fakes import SETTING, STUDY
from workbench.experiments.audit import AuditLine
from workbench.experiments.audit_table import print_audit, write_audit
from workbench.experiments.plan import StudyRun

LINES = [
    AuditLine("base", "job", value="abc"),
    AuditLine("base", "fact", "trained parameters", "1,000"),
    AuditLine("base", "switch", "class target", "here -> there", moment="step 4 of 8 (50 %)"),
    AuditLine("base", "share", "loss_a", "0.2500", moment="start", part="trunk"),
    AuditLine("base", "share", "loss_a", "0.5000", moment="phase 1", part="trunk"),
    AuditLine("base", "share", "loss_b", "0.7500", moment="start", part="trunk"),
    AuditLine("static", "share", "loss_a", "1.0000", moment="start", part="stage"),
    AuditLine("static", "differs", "variant.x", "1", than="base", other="2"),
    AuditLine("static", "flag", "trunk", "loss_a, and so on", than="base"),
]


def test_it_is_printed_row_by_row(capsys: pytest.CaptureFixture[str]) -> None:
    print_audit(LINES)
    said = capsys.readouterr().out
    base, static = said.split("static: ")
    for part in ("base: % of the gradient, start / phase 1", "25.0 / 50.0", "75.0 / -", "trained parameters: 1,000"):
        assert part in base
    assert "from step 4 of 8 (50 %): class target: here -> there" in base
    assert "100.0" in static and "variant.x: 1 against 2 in 'base'" in static and "loss_a, and so on" in static


def test_the_file_holds_every_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    path = write_audit(StudyRun(STUDY, SETTING, tmp_path), LINES)
    assert path == Path("reports/data/fake_test_audit.csv")
    with path.open(newline="", encoding="utf-8") as file:
        assert [AuditLine(**line) for line in csv.DictReader(file)] == LINES  # pyright: ignore[reportArgumentType]
