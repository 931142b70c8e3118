"""What the README says of claims is what the records say."""

import csv
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "README.md").read_text("utf-8")
CLAIM = re.compile(r"^\| (C\d[^|]*) \|.*\| \*(holds|fails|open)\* \|.*\]\(reports/rendered/(\w+)\.md\)", re.MULTILINE)
CLAIMS: list[tuple[str, str, str]] = CLAIM.findall(TEXT)


def verdicts(page: str) -> dict[str, str]:
    """By claim, of training and of cost, as recorded for a page."""
    found: dict[str, str] = {}
    for stem in (page, f"{page}_cost", f"{page.rpartition('_')[0]}_cost"):
        path = ROOT / "reports/data" / f"{stem}_claims.csv"
        if path.exists():
            with path.open(newline="", encoding="utf-8") as file:
                found |= {line["claim"]: line["verdict"] for line in csv.DictReader(file)}
    return found


@pytest.mark.parametrize(("claim", "said", "page"), CLAIMS, ids=[f"{claim} {page}" for claim, _, page in CLAIMS])
def test_a_verdict_is_the_recorded_one(claim: str, said: str, page: str) -> None:
    assert verdicts(page)[claim] == said


def test_every_published_claim_is_there() -> None:
    assert {claim[:2] for claim, *_ in CLAIMS} == {f"C{i}" for i in range(1, 9)}


def test_every_link_leads_somewhere() -> None:
    links = re.findall(r"\]\(((?:reports|studies|benchmarks)/[^)#]+)", TEXT)
    assert links and [link for link in links if not (ROOT / link).exists()] == []
