"""The record of the last soak: `nox -s soak`, then `python -m tests.soak_record`.

Writes reports/data/soak.csv from what pytest left in .nox/soak.xml: a line per test.
"""

from __future__ import annotations

import csv
from pathlib import Path
from xml.etree import ElementTree

from workbench.core.provenance import commit, machine_name

COLUMNS = ("test", "outcome", "seconds", "machine", "commit", "date")


def written(report: Path, record: Path) -> int:
    """Writes the record anew. Gives how many tests failed.

    Args:
        report: what pytest wrote for `--junit-xml`.
    """
    suite = next(ElementTree.parse(report).iter("testsuite"))
    date, lines = suite.attrib["timestamp"][:16], list[tuple[str, ...]]()
    for case in suite.iter("testcase"):
        found = [one.tag for one in case if one.tag in ("failure", "error", "skipped")]
        name = f"{case.attrib['classname'].replace('.', '/')}.py::{case.attrib['name']}"
        lines.append((name, found[0] if found else "passed", f"{float(case.attrib['time']):.1f}"))
    with record.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(COLUMNS)
        table.writerows((*line, machine_name(), commit(), date) for line in sorted(lines))
    return sum(outcome in ("failure", "error") for _, outcome, _ in lines)


if __name__ == "__main__":
    raise SystemExit(min(written(Path(".nox/soak.xml"), Path("reports/data/soak.csv")), 1))
