"""What each study found, as Markdown from its records: the conclusion, what each row reached, and its repeats.

    python -m workbench.report.results FILE.md    renews it in each file between <!-- studies --> and <!-- /studies -->

Run from the root of the checkout.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

from workbench.evaluation.metrics import METRICS
from workbench.experiments.plan import StudyRun
from workbench.experiments.profiling import REPORT_DATA
from workbench.experiments.protocols import PROTOCOLS
from workbench.report.frames import Frame
from workbench.report.head_pieces import conclusion
from workbench.report.marked import renew
from workbench.report.pieces import RENDERED
from workbench.report.record import Record, load_record
from workbench.report.repeats import repeats_frame, repeats_table
from workbench.report.rows import labels
from workbench.report.verdict_table import verdict_table
from workbench.study import Study, find_study, known_studies

_SHOWN = ("AP", "mOKS", "NME")


def results() -> str:
    """One section per study that training has answered, one part of it per protocol, and what studies ask alone."""
    repeats = repeats_frame()
    each = {name: list(_parts(name, repeats)) for name in known_studies()}
    found = [f"### `{name}`\n\n" + "\n\n".join(parts) for name, parts in each.items() if parts]
    alone = "### Claims that are not the paper's\n\n" + verdict_table(published=False, root="../")
    return "\n\n".join([*found, alone])


def _parts(name: str, repeats: Frame) -> Iterator[str]:
    if isinstance(study := find_study(name), Study):
        for protocol in PROTOCOLS.values():
            if protocol.trains and (REPORT_DATA / f"{name}_{protocol.name}.csv").exists():
                yield section(load_record(StudyRun(study, protocol, Path("runs"))))
                yield from filter(None, [repeats_table(repeats, name, protocol.name)])


def section(record: Record) -> str:
    """The conclusion of a record and a table of its rows; units are those of the pages."""
    page, means = RENDERED / f"{record.stem}.md", record.runs.groupby("row")[list(_SHOWN)].mean()
    head = f"| `{record.protocol.name}` | runs | {' | '.join(_SHOWN)} |\n|---|---|{'---|' * len(_SHOWN)}"
    lines = [
        f"| {row} | {(record.runs['row'] == row).sum()} | "
        + " | ".join(METRICS[metric].text(means.loc[row, metric]) for metric in _SHOWN)
        + " |"
        for row in labels(record)
    ]
    said = f"[Under `{record.protocol.name}`](../{page}): {conclusion(record)}"
    return f"{said}\n\n" + "\n".join([head, *lines])


if __name__ == "__main__":
    sys.exit(renew("studies", results, sys.argv[1:]))
