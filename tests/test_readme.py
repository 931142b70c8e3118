"""The README: short, and as old as the records."""

import re
from pathlib import Path

import pytest

from tests.report.committed import committed_claims
from workbench.report.marked import with_part
from workbench.report.verdict_table import verdict_table

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "README.md").read_text("utf-8")
WORDS = 1_000  # without the table of verdicts


@pytest.fixture(autouse=True)
def _here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)


def test_it_is_short() -> None:
    before, _, rest = TEXT.partition("<!-- verdicts -->")
    words = f"{before} {rest.partition('<!-- /verdicts -->')[2]}".split()
    assert len(words) < WORDS, "let docs/ have it"


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
    claim = ""
    for line in TEXT.partition("<!-- verdicts -->")[2].partition("<!-- /verdicts -->")[0].splitlines():
        if found := re.match(r"\|([^|]*)\|[^|]*\|\*(\w+)\*[†‡]*\|\[\w+\]\((\S+)\)\|", line):
            claim = found[1] or claim
            page = (ROOT / found[3]).read_text("utf-8")
            shown = re.search(rf'^\| {re.escape(claim)} \| [^|]* \| <b class="(\w+)">', page, re.MULTILINE)
            assert shown is not None and shown[1] == found[2], f"{claim}: {found[3]}"
            told += 1
    assert told > 8
