"""The table of docs/search.md says what the record of the searches says."""

import csv
import re
from pathlib import Path

from benchmarks.search import mean_with_half

ROOT = Path(__file__).parents[2]
SAID = {"by the OKS loss": "loss_oks", "by their AP": "AP"}


def test_the_shares_are_those_of_the_record() -> None:
    text = (ROOT / "docs" / "search.md").read_text("utf-8").partition("## How well")[2].partition("## ")[0]
    with (ROOT / "reports" / "data" / "bench_search_trained.csv").open(newline="", encoding="utf-8") as file:
        lines = list(csv.DictReader(file))
    score, checked = "", 0
    head, *rows = [[cell.strip() for cell in one.strip("|").split("|")] for one in re.findall(r"^\|.*\|$", text, re.M)]
    for row in rows[1:]:
        score = next((name for words, name in SAID.items() if words in row[0]), score)
        for method, said in zip(head[2:], row[2:], strict=True):
            chosen = [one for one in lines if one["source"].endswith(f", {score}") and one["method"] == method]
            mean, half = mean_with_half([float(one[f"share_{row[1].replace(' ', '')}"]) for one in chosen])
            assert len(chosen) == 20 and said == f"{mean:.2f} ±{half:.2f}", (score, method, row[1])
            checked += 1
    assert checked == 16
