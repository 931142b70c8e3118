"""How much of the best front does a search find, for how much training? Ours beside four others.

Run:   workbench bench search [--tables 20] [--methods random,ours] [--truth rough] [--table FILE [--score AP]]

The tables are made up (`_tables` says how), or FILE is one that was really trained. What a method recommends is scored
at its *true* AP: the area under that front over log cost, above the lowest 5 % of AP, as a share of the true front's.
Compute is counted in median trainings. Differences from ours are paired by table, with intervals of 95 % over tables.
Of 48,600 cells the proposer looks at a thousand at a time. About four minutes of one core for 20 tables.

Each table and method is a line of `reports/data/bench_search.csv`; those that stand there are not searched again. A
FILE is searched 20 times by each, until a tenth and a fifth of it is paid for: `bench_search_trained.csv`.
"""

from __future__ import annotations

import argparse
import csv
import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from itertools import product
from pathlib import Path

import numpy as np
from scipy.stats import t as student

from benchmarks import _record
from benchmarks._searchers import SEARCHERS, Account, Recommends
from benchmarks._tables import TRUTHS, SearchTable, made_up, trained
from workbench.core.errors import Refused
from workbench.core.provenance import commit
from workbench.experiments.search.front import Z95

MARKS = {"5": 5, "10": 10, "20": 20}  # trainings, by what they are called in columns
PARTS = (0.1, 0.2)  # of a table that was really trained
OURS = ("ours", "ours with rungs")
Line = dict[str, object]
ByTable = Mapping[str, Mapping[str, str]]


def main(options: Sequence[str] = ()) -> int:
    """Searches what has not been searched, adds to the table, prints means and differences. Gives 0."""
    parser = argparse.ArgumentParser(prog="workbench bench search")
    parser.add_argument("--tables", type=int, default=20, metavar="N", help="how many (20)")
    parser.add_argument("--methods", default=",".join(SEARCHERS), help=f"some of {', '.join(SEARCHERS)}")
    parser.add_argument("--truth", choices=list(TRUTHS), default="effects", help="what made-up scores consist of")
    parser.add_argument("--table", type=Path, metavar="FILE", help="a table that was really trained")
    parser.add_argument("--score", help="of that table: AP (the default), mOKS or a loss")
    given = parser.parse_args(options)
    if given.score and not given.table:
        raise Refused(f"--score {given.score}: made-up tables have AP alone; add --table FILE, or leave it out")
    score = given.score or "AP"
    methods = given.methods.split(",")
    if unknown := sorted(set(methods) - SEARCHERS.keys()):
        raise Refused(f"--methods {unknown}: no such method; there are {', '.join(SEARCHERS)}")
    source = f"{given.table.stem}, {score}" if given.table else given.truth
    name = "search_trained" if given.table else "search"
    there = {(line["source"], line["table"], line["method"]) for line in _lines(name)}
    for number in range(given.tables):
        wanted = [one for one in methods if (source, str(number), one) not in there]
        if not wanted:
            continue
        table = trained(given.table, number, score) if given.table else made_up(number, given.truth)
        marks = {f"{part:.0%}": round(part * len(table.truth)) for part in PARTS} if given.table else MARKS
        for one in wanted:
            if one in ("MO-ASHA", OURS[1]) and not len(table.told_early):
                continue
            _record.append(name, [{"source": source, "table": number} | searched(one, table, number, marks)])
    for said in summary([line for line in _lines(name) if line["source"] == source]):
        print(said)
    return 0


def _lines(name: str) -> list[dict[str, str]]:
    path = _record.FOLDER / f"bench_{name}.csv"
    if not path.exists():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def searched(name: str, table: SearchTable, seed: int, marks: Mapping[str, int]) -> Line:
    """One search of a table, as a line: what it found at each mark, and how its predictions held."""
    account, started = Account(), time.perf_counter()
    at: dict[str, float] = {}
    found, trained_by = np.zeros(0, np.int64), 0
    before: Recommends | None = None
    for paid, recommends in SEARCHERS[name](table, seed, account):
        for mark in (mark for mark, most in marks.items() if mark not in at and paid > most * table.unit):
            found = before() if before else found
            at[mark] = table.share(found)
        if len(at) == len(marks):
            break
        before, trained_by = recommends, len(account.trained)
    else:
        found = before() if before else found
    return {
        "method": name,
        **{f"share_{mark}": f"{at.get(mark, table.share(found)):.4f}" for mark in marks},
        "proposals": account.proposals,
        "trained": trained_by,
        **_held(account),
        "fall": f"{(table.told[found] - table.truth[found]).mean():.3f}" if len(found) else "",
        "seconds": f"{time.perf_counter() - started:.1f}",
        "commit": commit(),
        "date": datetime.now(UTC).isoformat(timespec="minutes"),
    }


def _held(account: Account) -> Line:
    """How many whole trainings were predicted before they began, how many came within 95 %, and by how much less."""
    mean, variance, told = np.asarray(account.predicted, float).reshape(-1, 3).T
    within = np.abs(told - mean) <= Z95 * np.sqrt(variance)
    return {
        "predicted": len(told),
        "within": int(within.sum()),
        "less": f"{(mean - told).mean():.3f}" if len(told) else "",
    }


def summary(lines: Sequence[Mapping[str, str]]) -> Iterator[str]:
    """Means with intervals by method, the differences from ours, and how predictions held."""
    methods = list(dict.fromkeys(line["method"] for line in lines))
    marks = [column.removeprefix("share_") for column in lines[0] if column.startswith("share_")] if lines else []
    shares = {name: {line["table"]: line for line in lines if line["method"] == name} for name in methods}
    for name, by_table in shares.items():
        means = [mean_with_half([float(line[f"share_{mark}"]) for line in by_table.values()]) for mark in marks]
        told = ", ".join(f"{mark}: {mean:.2f} ±{half:.2f}" for mark, (mean, half) in zip(marks, means, strict=True))
        seconds = np.mean([float(line["seconds"]) for line in by_table.values()])
        yield f"{name:16} {len(by_table)} tables; share after trainings {told}; {seconds:.1f} s"
    for ours, other in product(OURS, methods):
        common = sorted(shares.get(ours, {}).keys() & shares[other].keys())
        if other not in OURS and len(common) > 1:
            yield f"{ours} - {other}: {', '.join(_difference(shares[ours], shares[other], common, marks))}"
    for name in (name for name in OURS if name in shares):
        predicted, within = (sum(int(line[c]) for line in shares[name].values()) for c in ("predicted", "within"))
        falls = [float(line["fall"]) for line in shares[name].values() if line["fall"]]
        less = [float(line["less"]) for line in shares[name].values() if line["less"]]
        if predicted:
            yield (
                f"{name}: {within / predicted:.1%} of {predicted} trainings within 95 % of what was predicted before, "
                f"{np.mean(less):.2f} AP less on average; the front as told is {np.mean(falls):.2f} AP above its truth"
            )


def _difference(ours: ByTable, other: ByTable, at: Sequence[str], marks: Sequence[str]) -> list[str]:
    """At each mark, over the tables that both have searched."""
    found = []
    for mark in marks:
        gains = [float(ours[table][f"share_{mark}"]) - float(other[table][f"share_{mark}"]) for table in at]
        mean, half = mean_with_half(gains)
        found.append(f"{mark}: {mean:+.2f} ±{half:.2f}")
    return found


def mean_with_half(values: Sequence[float]) -> tuple[float, float]:
    """The mean, and half its interval of 95 % (Student)."""
    n = len(values)
    half = student.ppf(0.975, n - 1) * np.std(values, ddof=1) / n**0.5 if n > 1 else float("nan")
    return float(np.mean(values)), float(half)
