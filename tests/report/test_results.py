"""What the docs say of each study: made from its records, and renewed when these are."""

from pathlib import Path

import pytest

from tests.report.committed import committed_claims
from tests.report.made_up import ROOT
from tests.report.recorded import repeat_stem, write_claims, write_records
from workbench.report.marked import with_part
from workbench.report.record import Record
from workbench.report.results import results, section


def test_a_part_says_the_conclusion_and_each_row(record: Record) -> None:
    text = section(record)
    assert text.startswith(f"[Under `{record.protocol.name}`](../reports/rendered/{record.stem}.md): ")
    lines = [line for line in text.splitlines() if line.startswith("| ")]
    assert lines[0].endswith("| runs | AP | mOKS | NME |") and len(lines) == 1 + record.runs["row"].nunique()
    first = record.runs[record.runs["row"] == record.runs["row"].iloc[0]]
    assert lines[1].startswith(f"| {first['row'].iloc[0]} | {len(first)} | {100 * first['AP'].mean():.1f} |")


@pytest.mark.slow
def test_the_docs_say_what_is_recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr("workbench.report.verdict_table.recorded_claims", committed_claims)
    text = Path("docs/results.md").read_text("utf-8")
    assert with_part(text, "studies", results()) == text, "the records have changed: run nox -s docs"


def test_repeats_stand_below_what_they_repeat(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = write_records(tmp_path, monkeypatch)
    monkeypatch.setattr("workbench.report.results.section", lambda record: f"SECTION {record.protocol.name}")
    assert "Repeats of" not in results()
    write_claims(data / f"{repeat_stem(2)}_claims.csv", "open")
    short, laptop = results().index("SECTION short"), results().index("SECTION laptop")
    assert short < results().index("Repeats of `short`") < laptop and "|C2|0 of 1|*holds*" in results()
