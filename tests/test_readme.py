"""The README: short, and as old as the records."""

from pathlib import Path

import pytest

from workbench.report.verdict_table import recorded_claims, verdict_table, with_verdicts

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "README.md").read_text("utf-8")
WORDS = 1_200


@pytest.fixture(autouse=True)
def _here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)


def test_it_is_short() -> None:
    assert len(TEXT.split()) < WORDS, "let docs/ have it"


@pytest.mark.slow
def test_its_verdicts_are_the_recorded_ones() -> None:
    assert with_verdicts(TEXT, verdict_table()) == TEXT, "the records have changed: run nox -s docs"


@pytest.mark.slow
def test_every_published_claim_is_there() -> None:
    assert {claim.line["claim"][:2] for claim in recorded_claims()} >= {f"C{i}" for i in range(1, 9)}
    assert all(f"\n|C{i}" in TEXT for i in range(1, 9))
