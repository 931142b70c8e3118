"""The tables of docs/search.md say what the records of signals and of searches say."""

import csv
import re
from pathlib import Path

from benchmarks.search import mean_with_half

ROOT = Path(__file__).parents[2]
SIGNALS = {"OKS loss, mean so far": "mean_loss_oks", "OKS loss": "loss_oks", "AP": "AP", "mOKS": "mOKS"}
SAID = {"by the OKS loss": "loss_oks", "by their AP": "AP"}


def table(text: str) -> tuple[list[str], list[list[str]]]:
    """The cells of the only table of a text: of its head, and of its rows."""
    lines = re.findall(r"^\|.*\|$", text, re.M)
    head, _, *rows = [[cell.strip() for cell in one.strip("|").split("|")] for one in lines]
    return head, rows


def test_the_shares_are_those_of_the_record() -> None:
    text = (ROOT / "docs" / "search.md").read_text("utf-8").partition("## How well")[2].partition("## ")[0]
    with (ROOT / "reports" / "data" / "bench_search_trained.csv").open(newline="", encoding="utf-8") as file:
        lines = list(csv.DictReader(file))
    score, checked = "", 0
    head, rows = table(text)
    for row in rows:
        score = next((name for words, name in SAID.items() if words in row[0]), score)
        for method, said in zip(head[2:], row[2:], strict=True):
            chosen = [one for one in lines if one["source"].endswith(f", {score}") and one["method"] == method]
            mean, half = mean_with_half([float(one[f"share_{row[1].replace(' ', '')}"]) for one in chosen])
            assert len(chosen) == 20 and said == f"{mean:.2f} ±{half:.2f}", (score, method, row[1])
            checked += 1
    assert checked == 16


def test_the_agreements_are_those_of_the_record() -> None:
    page = (ROOT / "docs" / "search.md").read_text("utf-8")
    with (ROOT / "reports" / "data" / "bench_early_signals.csv").open(newline="", encoding="utf-8") as file:
        lines = [one for one in csv.DictReader(file) if one["part"] == "0.2"]
    last = {(one["source"].partition(",")[0], one["signal"]): one for one in lines}
    head, rows = table(page.partition("with the signal that")[2].partition("\nIn both")[0])
    for row in rows:
        source = "random" if "random" in row[0] else "recorded"
        for name, said in zip(head[1:], row[1:], strict=True):
            one = last.get((source, SIGNALS[name]))
            if one is None:
                assert said == "not recorded"
                continue
            assert said == "{:.2f} ({:.2f} to {:.2f})".format(*(float(one[end]) for end in ("tau", "low", "high")))
            assert one["candidates"] in row[0].split()
    assert len(rows) == 2
