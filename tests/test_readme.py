"""The README: short, and as old as the records."""

import re
from pathlib import Path

import pytest

from tests.report.committed import committed_claims
from workbench.report.marked import with_part
from workbench.report.verdict_table import verdict_table

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "README.md").read_text("utf-8")
WORDS = 1_200  # with the table of verdicts


@pytest.fixture(autouse=True)
def _here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)


def test_it_is_short() -> None:
    assert len(TEXT.split()) < WORDS, "let docs/ have it"


@pytest.mark.slow
def test_its_verdicts_are_the_recorded_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("workbench.report.verdict_table.recorded_claims", committed_claims)
    assert with_part(TEXT, "verdicts", verdict_table()) == TEXT, "the records have changed: run nox -s docs"


@pytest.mark.slow
def test_every_published_claim_is_there() -> None:
    assert {claim.line["claim"][:2] for claim in committed_claims()} >= {f"C{i}" for i in range(1, 9)}
    assert all(f"\n|C{i}" in TEXT for i in range(1, 9))


def test_its_verdicts_are_those_of_the_pages_that_it_links() -> None:
    """Read from both as they are committed: neither is made anew."""
    told = 0
    for line in TEXT.partition("<!-- verdicts -->")[2].partition("<!-- /verdicts -->")[0].splitlines():
        claim = line.partition("|")[2].partition("|")[0]
        for verdict, path in re.findall(r"\*(\w+)\*[†‡]* \[\w+\]\((\S+)\)", line):
            page = (ROOT / path).read_text("utf-8")
            shown = re.search(rf'^\| {re.escape(claim)} \| [^|]* \| <b class="(\w+)">', page, re.MULTILINE)
            assert shown is not None and shown[1] == verdict, f"{claim}: {path}"
            told += 1
    assert told > 28
