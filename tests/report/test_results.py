"""What the docs say of each study: made from its records, and renewed when these are."""

from pathlib import Path

import pytest

from tests.report.made_up import ROOT
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
    text = Path("docs/results.md").read_text("utf-8")
    assert with_part(text, "studies", results()) == text, "the records have changed: run nox -s docs"
