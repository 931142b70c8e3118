"""What an audit has found, on the terminal and as a file that the study's page prints.

reports/data/STEM_audit.csv    one line per finding, see `AuditLine`
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import asdict, fields
from pathlib import Path

from rich.table import Table
from rich.text import Text

from workbench.core.files import write_whole
from workbench.core.words import cells
from workbench.experiments.audit import AuditLine
from workbench.experiments.console import console
from workbench.experiments.plan import StudyRun
from workbench.experiments.profiling import REPORT_DATA


def print_audit(lines: Sequence[AuditLine]) -> None:
    """Per row what was measured of it, then what differs between the rows, then the flags."""
    screen = console()
    for label in dict.fromkeys(line.row for line in lines):
        mine = [line for line in lines if line.row == label]
        shares = [line for line in mine if line.kind == "share"]
        moments = list(dict.fromkeys(line.moment for line in shares))
        screen.print(Text(f"{label}: % of the gradient, {' / '.join(moments)}", "bold"))
        screen.print(_shares_table(shares, moments))
        for line in mine:
            if line.kind == "fact":
                screen.print(Text(f"  {line.name}: {line.value}"))
            elif line.kind == "switch":
                screen.print(Text(f"  from {line.moment}: {line.name}: {line.value}"))
            elif line.kind == "differs":
                screen.print(Text(f"  {line.name}: {line.value} against {line.other} in {line.than!r}", "yellow"))
            elif line.kind == "flag":
                screen.print(Text(f"  {line.value}", "red"))


def _shares_table(shares: Sequence[AuditLine], moments: Sequence[str]) -> Table:
    """A line per term, a column per part; in a cell the shares in percent, one per moment."""
    parts, terms = (list(dict.fromkeys(names)) for names in zip(*((x.part, x.name) for x in shares), strict=True))
    found = {(line.moment, line.part, line.name): f"{100 * float(line.value):.1f}" for line in shares}
    out = Table("term", *parts, header_style="dim")
    for term in terms:
        cells = (" / ".join(found.get((moment, part, term), "-") for moment in moments) for part in parts)
        out.add_row(Text(term), *cells)
    return out


def write_audit(run: StudyRun, lines: Sequence[AuditLine]) -> Path:
    """The file below `reports/data`."""
    path = REPORT_DATA / f"{run.stem}_audit.csv"
    with write_whole(path) as part, part.open("w", newline="", encoding="utf-8") as file:
        out = csv.DictWriter(file, [field.name for field in fields(AuditLine)])
        out.writeheader()
        out.writerows(dict(zip(out.fieldnames, cells(asdict(line).values()), strict=True)) for line in lines)
    return path
