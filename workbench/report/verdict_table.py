"""The table of verdicts in a Markdown file, made from the records of all studies as they are asked today.

    python -m workbench.report.verdict_table README.md

writes the table anew between the lines `<!-- verdicts -->` and `<!-- /verdicts -->` of that file, from the studies and
the records of the current folder.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from workbench.core.errors import Refused
from workbench.core.files import write_whole
from workbench.experiments.plan import StudyRun
from workbench.experiments.profiling import REPORT_DATA
from workbench.experiments.protocols import PROTOCOLS
from workbench.report.head_pieces import MARK
from workbench.report.pieces import RENDERED, sentence
from workbench.report.record import load_record, read_csv
from workbench.report.superseded import STATEMENT, superseded
from workbench.report.verdict_frames import EARLIER, earlier, timed_verdicts, trained_verdicts
from workbench.study import Study, TimingStudy, find_study, known_studies

BEGIN, END = "<!-- verdicts -->", "<!-- /verdicts -->"
HEADER = "|claim|text|verdict|protocol|difference, or times|\n|---|---|---|---|---|"
SUPERSEDED = "‡"
COST = "cost"  # the protocol of what is timed


@dataclass(frozen=True)
class RecordedClaim:
    """A verdict with the study and the protocol that it was recorded under.

    Fields:
        line: as of `trained_verdicts` and `timed_verdicts`.
        earlier: it is by an earlier rule, and a job that is trained today would give other numbers.
        superseded: why it is no verdict any more; "" where it is one.
    """

    study: str
    protocol: str
    line: Mapping[str, str]
    earlier: bool = False
    superseded: str = ""

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
        """With its marks."""
        return f"*{self.line['verdict']}*" + MARK * self.earlier + SUPERSEDED * bool(self.superseded)


def recorded_claims() -> list[RecordedClaim]:
    """Every claim of today's studies under each protocol that it is recorded under, published claims first.

    Records of a study that was run with `--set` or `--data` are left out: they answer another question.
    """
    found = [claim for name in known_studies() for claim in _of_study(find_study(name))]
    return sorted(found, key=lambda claim: claim.order)


def _of_study(study: Study | TimingStudy) -> Iterator[RecordedClaim]:
    if isinstance(study, Study):
        for protocol in PROTOCOLS.values():
            if protocol.trains and (REPORT_DATA / f"{study.name}_{protocol.name}.csv").exists():
                yield from _trained(StudyRun(study, protocol, Path("runs")))
    costs = study.costs if isinstance(study, Study) else study.claims
    recorded = read_csv(f"{study.name}_cost_claims")
    if len(recorded):
        yield from (RecordedClaim(study.name, COST, line) for line in timed_verdicts(costs, recorded))


def _trained(run: StudyRun) -> Iterator[RecordedClaim]:
    record = load_record(run)
    old, why = bool(earlier(record)), superseded(record)
    for line in trained_verdicts(record):
        gone = why if STATEMENT in (line["claim"], line.get("part_of")) else ""
        yield RecordedClaim(run.study.name, run.protocol.name, line, old, gone)


def verdict_table() -> str:
    """The table as Markdown: one line per claim and protocol, with a link to the page that shows it.

    Of a statement the page has the parts. Of each note stands the first sentence; the page has the others.
    """
    claims = [claim for claim in recorded_claims() if not claim.line.get("part_of")]
    told = [claim.line["claim"] + claim.line["text"] for claim in claims]
    lines = [_line(claim, said == above) for claim, said, above in zip(claims, told, ["", *told], strict=False)]
    reasons = sorted({claim.superseded for claim in claims} - {""})
    notes = [(MARK, EARLIER)] * any(claim.earlier for claim in claims) + [(SUPERSEDED, why) for why in reasons]
    short = [f"{mark} {sentence(note.partition('. ')[0])}" for mark, note in notes]
    return "\n\n".join(["\n".join([HEADER, *lines]), *short])


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


def with_verdicts(text: str, table: str) -> str:
    """A Markdown text with the table between its two marks.

    Raises:
        Refused: the text does not hold both marks once, in their order.
    """
    before, begin, rest = text.partition(BEGIN + "\n")
    _, end, after = rest.partition(END)
    if not (begin and end) or text.count(BEGIN) > 1 or text.count(END) > 1:
        raise Refused(f"no place for the verdicts: expected one line {BEGIN} and one line {END} below it")
    return f"{before}{BEGIN}\n\n{table}\n\n{END}{after}"


def renew(words: Sequence[str]) -> int:
    """Renews the table in each named file, from the records of the current folder. Gives the exit code."""
    try:
        for word in words:
            file = Path(word)
            text = with_verdicts(file.read_text("utf-8"), verdict_table())
            with write_whole(file) as part:
                part.write_text(text, "utf-8")
    except (Refused, OSError) as error:
        print(f"verdict_table: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(renew(sys.argv[1:]))
