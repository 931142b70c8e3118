"""The table of verdicts in a Markdown file, made from the records of all studies as they are asked today.

    python -m workbench.report.verdict_table README.md

writes the table anew between the lines `<!-- verdicts -->` and `<!-- /verdicts -->` of that file, from the studies and
the records of the current folder.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from workbench.experiments.plan import StudyRun
from workbench.experiments.profiling import REPORT_DATA
from workbench.experiments.protocols import PROTOCOLS
from workbench.report.head_pieces import MARK
from workbench.report.marked import renew
from workbench.report.pieces import RENDERED, sentence
from workbench.report.record import load_record, read_csv
from workbench.report.verdict_frames import EARLIER, earlier, timed_verdicts, trained_verdicts
from workbench.space import Search
from workbench.study import Better, Study, TimingStudy, find_study, known_studies

HEADER = "|claim|text|verdict|protocol|difference, or times|\n|---|---|---|---|---|"
NOT_RUN = "no record under today's numerics"
COST = "cost"  # the protocol of what is timed


@dataclass(frozen=True)
class RecordedClaim:
    """A verdict with the study and the protocol that it was recorded under.

    Fields:
        line: as of `trained_verdicts` and `timed_verdicts`.
        earlier: it is by an earlier rule, and a job that is trained today would give other numbers.
    """

    study: str
    protocol: str
    line: Mapping[str, str]
    earlier: bool = False

    @property
    def order(self) -> tuple[bool, str, int]:
        """Published claims (C1, C2, ...) come first, the studies' own after them."""
        letters, number = re.findall(r"^(\D*)(\d*)", self.line["claim"])[0]
        return letters != "C", letters, int(number or 0)

    @property
    def effect(self) -> str:
        """The difference or the ratio with its interval, of AP without its name; else how the reason begins."""
        return self.line.get("effect", "").replace(" AP ", " ") or self.line["reason"].partition(";")[0]

    @property
    def verdict(self) -> str:
        """With its mark."""
        return f"*{self.line['verdict']}*" + MARK * self.earlier


def recorded_claims() -> list[RecordedClaim]:
    """Every claim of today's studies under each protocol that it is recorded under, published claims first. One of a
    study without a record is open.

    Records of a study that was run with `--set` or `--data` are left out: they answer another question.
    """
    found = [claim for name in known_studies() for claim in _of_study(find_study(name))]
    return sorted(found, key=lambda claim: claim.order)


def _of_study(study: Study | TimingStudy | Search) -> Iterator[RecordedClaim]:
    if isinstance(study, Search):
        return  # it claims nothing
    if isinstance(study, Study):
        there = [p for p in PROTOCOLS.values() if p.trains and (REPORT_DATA / f"{study.name}_{p.name}.csv").exists()]
        for protocol in there:
            yield from _trained(StudyRun(study, protocol, Path("runs")))
        if not there:
            yield from (RecordedClaim(study.name, study.default, _not_run(claim)) for claim in study.claims)
    costs = study.costs if isinstance(study, Study) else study.claims
    recorded = read_csv(f"{study.name}_cost_claims")
    if len(recorded):
        yield from (RecordedClaim(study.name, COST, line) for line in timed_verdicts(costs, recorded))


def _not_run(claim: Better) -> dict[str, str]:
    return {"claim": claim.id, "text": claim.text, "part_of": claim.part_of, "verdict": "open", "reason": NOT_RUN}


def _trained(run: StudyRun) -> Iterator[RecordedClaim]:
    record = load_record(run)
    old = bool(earlier(record))
    yield from (RecordedClaim(run.study.name, run.protocol.name, line, old) for line in trained_verdicts(record))


def verdict_table() -> str:
    """The table as Markdown: one line per claim and protocol, with a link to the page that shows it.

    Of a statement the page has the parts, of a note all but the first sentence.
    """
    claims = [claim for claim in recorded_claims() if not claim.line.get("part_of")]
    told = [claim.line["claim"] + claim.line["text"] for claim in claims]
    lines = [_line(claim, said == above) for claim, said, above in zip(claims, told, ["", *told], strict=False)]
    note = [f"{MARK} {sentence(EARLIER.partition('. ')[0])}"] * any(claim.earlier for claim in claims)
    return "\n\n".join(["\n".join([HEADER, *lines]), *note])


def _line(claim: RecordedClaim, again: bool) -> str:
    """A line; one that tells of the same claim `again` does not say it once more."""
    page = _page(claim)
    where = claim.protocol if page is None else f"[{claim.protocol}]({page})"
    what = ("", "") if again else (claim.line["claim"], claim.line["text"])
    cells = *what, claim.verdict, where, claim.effect
    return f"|{'|'.join(cell.replace('|', chr(92) + '|') for cell in cells)}|"


def _page(claim: RecordedClaim) -> Path | None:
    """The study's page under that protocol. Costs have none of their own: they stand in the study's other pages."""
    protocols = (claim.protocol, *PROTOCOLS)
    names = (*(f"{claim.study}_{protocol}.md" for protocol in protocols), f"{claim.study}.md")
    return next((RENDERED / name for name in names if (RENDERED / name).exists()), None)


if __name__ == "__main__":
    sys.exit(renew("verdicts", verdict_table, sys.argv[1:]))
