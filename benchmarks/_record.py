"""Tables of benchmarks: `reports/data/bench_NAME.csv`, one line per measurement, new ones below old ones."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from workbench.core.errors import Refused
from workbench.core.provenance import commit
from workbench.inference.timing import Comparison

FOLDER = Path("reports/data")


def conditions(found: Comparison) -> dict[str, object]:
    """The columns that every table ends with."""
    return {
        "rounds": found.rounds,
        "threads": found.threads,
        "others": f"{found.others:.2f}",
        "machine": found.machine,
        "commit": commit(),
        "date": datetime.now(UTC).isoformat(timespec="minutes"),
    }


def append(name: str, lines: Sequence[Mapping[str, object]]) -> Path:
    """Adds the lines to the table.

    Raises:
        Refused: it stands there with other columns.
    """
    path, columns = FOLDER / f"bench_{name}.csv", list(lines[0])
    path.parent.mkdir(parents=True, exist_ok=True)
    new = not path.exists()
    if not new:
        with path.open(newline="", encoding="utf-8") as file:
            there = next(csv.reader(file), [])
        if there != columns:
            raise Refused(f"{path} has the columns {there}, the new lines {columns}; move the old table away")
    with path.open("a", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns, lineterminator="\n")
        if new:
            writer.writeheader()
        writer.writerows(lines)
    return path
