"""What the README says of claims is what the records say."""

import csv
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "README.md").read_text("utf-8")
CLAIM = re.compile(
    r"^\| (C\d[^|]*) \|.*\| \*(holds|fails|open)\* \|.*\]\(reports/rendered/(\w+)\.md\) \| (.*) \|$", re.MULTILINE
)
CLAIMS: list[tuple[str, str, str, str]] = CLAIM.findall(TEXT)


def recorded(page: str) -> dict[str, dict[str, str]]:
    """Claims of training and of cost, by their ids, as recorded for a page."""
    found: dict[str, dict[str, str]] = {}
    for stem in (page, f"{page}_cost", f"{page.rpartition('_')[0]}_cost"):
        path = ROOT / "reports/data" / f"{stem}_claims.csv"
        if path.exists():
            with path.open(newline="", encoding="utf-8") as file:
                found |= {line["claim"]: line for line in csv.DictReader(file)}
    return found


@pytest.mark.parametrize(
    ("claim", "said", "page", "why"), CLAIMS, ids=[f"{claim} {page}" for claim, _, page, _ in CLAIMS]
)
def test_a_verdict_and_its_numbers_are_the_recorded_ones(claim: str, said: str, page: str, why: str) -> None:
    line = recorded(page)[claim]
    assert line["verdict"] == said
    if not line["mean"]:  # counted
        assert why in line["reason"]
        return
    numbers = [float(line[name]) for name in ("mean", "low", "high")]
    times = "{:.3f} times ({:.3f} to {:.3f})".format(*numbers)
    points = "{:+.1f} ({:+.1f} to {:+.1f})".format(*(100 * number for number in numbers))
    assert why == (times if "times" in why else points)


def test_every_published_claim_is_there() -> None:
    assert {claim[:2] for claim, *_ in CLAIMS} == {f"C{i}" for i in range(1, 9)}


def test_every_link_leads_somewhere() -> None:
    links = re.findall(r"\]\(((?:reports|studies|benchmarks)/[^)#]+)", TEXT)
    assert links and [link for link in links if not (ROOT / link).exists()] == []


def means(page: str) -> dict[tuple[str, str], float]:
    """By row and metric."""
    with (ROOT / "reports/data" / f"{page}_rows.csv").open(newline="", encoding="utf-8") as file:
        return {(line["row"], line["metric"]): float(line["mean"]) for line in csv.DictReader(file)}


def test_the_rows_of_the_first_study_are_the_recorded_ones() -> None:
    laptop, probe = means("ablate_dcc_laptop"), means("ablate_dcc_probe")
    rows = [line.strip("| ").split(" | ") for line in TEXT.partition("| row | `laptop`")[2].splitlines()[2:9]]
    assert len({name for name, _ in laptop}) == len(rows)
    for name, *shown in rows:
        row = name.partition(":")[0]
        expected = 100 * laptop[row, "AP"], 100 * laptop[row, "mOKS"], laptop[row, "NME"], 100 * probe[row, "AP"]
        assert shown[:4] == [f"{number:.{digits}f}" for number, digits in zip(expected, (1, 1, 3, 1), strict=True)]


def ratios(name: str, *columns: str, inverse: bool = False) -> set[str]:
    """Of `reports/data/bench_NAME.csv`, each as the README writes it."""
    with (ROOT / "reports/data" / f"bench_{name}.csv").open(newline="", encoding="utf-8") as file:
        found = [[float(line[column]) for column in columns] for line in csv.DictReader(file) if line[columns[0]]]
    if inverse:
        found = [[1 / value, 1 / high, 1 / low] for value, low, high in found]
    return {"{:.2f} ({:.2f} to {:.2f})".format(*numbers) for numbers in found}


def test_the_speeds_are_the_recorded_ones() -> None:
    table = TEXT.partition("| what | against | times as fast | aim |")[2].partition("\n\n")[0]
    shown = re.findall(r"\| (\d\.\d\d \(.*?\)) \|", table)
    recorded = ratios("train", "x_plain", "x_plain_low", "x_plain_high") | ratios("deploy", "faster", "low", "high")
    assert len(shown) == 9
    assert set(shown) <= recorded | ratios("beside", "ratio", "low", "high", inverse=True)
