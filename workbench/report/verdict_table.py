"""The table of verdicts in a Markdown file, made from the records of all studies as they are asked today.

    python -m workbench.report.verdict_table README.md

writes that of the published claims anew between the lines `<!-- verdicts -->` and `<!-- /verdicts -->` of that file,
from the studies and the records of the current folder. A line says what a verdict comes from: runs and their minutes of
training on one core, and what the audit of the study flags beside it.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from workbench.experiments.plan import StudyRun
from workbench.experiments.profiling import REPORT_DATA
from workbench.experiments.protocols import PROTOCOLS
from workbench.experiments.teachers import trunks_of
from workbench.report.fairness import audit_frame, claim_flags
from workbench.report.head_pieces import MARK
from workbench.report.marked import renew
from workbench.report.pieces import RENDERED, sentence
from workbench.report.record import Record, load_record, read_csv
from workbench.report.repeats import repeats_alike, repeats_frame
from workbench.report.tables import minutes_frame
from workbench.report.verdict_frames import EARLIER, earlier, short_effect, timed_verdicts, trained_verdicts
from workbench.space import Search
from workbench.study import Better, Study, TimingStudy, find_study, known_studies

HEADS = ("claim", "text", "verdict", "difference, or times", "from", "flagged")
REPEATED = "repeats"  # one more head, where any study has been repeated
ELSEWHERE = "elsewhere"  # and one where a claim was judged under other protocols, too
NOT_RUN = "no record under today's numerics"
NOT_AUDITED = "not audited"
SETTLES = re.compile(r"would take (about|more than) ([\d.]+ (?:times the )?\w+(?: per trunk)?)")
ONE_ALONE = re.compile(r"one \w+: ")  # how the reason of a claim begins whose interval knows nothing of other seeds
COST = "cost"  # the protocol of what is timed


@dataclass(frozen=True)
class RecordedClaim:
    """A verdict with the study and the protocol that it was recorded under.

    Fields:
        line: as of `trained_verdicts` and `timed_verdicts`.
        earlier: it is by an earlier rule, and a job that is trained today would give other numbers.
        runs: what it comes from; "" where nothing was trained.
        flagged: how many flags the audit has for it; "" where nothing was trained.
        repeats: how many of its repeats came to the same verdict, see `repeats_alike`.
    """

    study: str
    protocol: str
    line: Mapping[str, str]
    earlier: bool = False
    runs: str = ""
    flagged: str = ""
    repeats: str = ""

    @property
    def published(self) -> bool:
        """Whether it is a claim of the paper (C1, C2, ...), not one of the study alone."""
        return not self.order[0]

    @property
    def order(self) -> tuple[bool, str, int, str, str]:
        """Published claims (C1, C2, ...) come first, the studies' own after them; one claim's protocols together."""
        letters, number = re.findall(r"^(\D*)(\d*)", self.line["claim"])[0]
        return letters != "C", letters, int(number or 0), self.line["claim"], self.study

    @property
    def effect(self) -> str:
        """As `short_effect`; of an open claim also what would settle it, where the record has a forecast.

        Of one seed the interval is over images alone: it is left out, since it looks as if it decided.
        """
        said = short_effect(self.line)
        if ONE_ALONE.match(self.line["reason"]):
            return f"{said.partition(' (')[0]}; one seed"
        more = SETTLES.search(self.line["reason"]) if self.line["verdict"] == "open" else None
        if more is None:
            return said
        count = more[2]
        return f"{said}; {count} would not tell" if more[1] == "more than" else f"{said}; about {count} would tell"

    @property
    def verdict(self) -> str:
        """With its mark."""
        return f"*{self.line['verdict']}*" + MARK * self.earlier


def recorded_claims() -> list[RecordedClaim]:
    """Every claim of today's studies under each protocol that it is recorded under, published claims first. One of a
    study without a record is open.

    Records of a study that was run with `--set` or `--data` are left out: they answer another question.
    """
    asked = [study for name in known_studies() if isinstance(study := find_study(name), Study | TimingStudy)]
    repeats = repeats_frame()
    found = [
        replace(claim, repeats=repeats_alike(repeats, claim.study, claim.protocol, claim.line["claim"]))
        for study in asked
        for claim in _of_study(study)
    ]
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
    old, flags = bool(earlier(record)), claim_flags(record)
    for line in trained_verdicts(record):
        claims = [one for one in run.study.claims if line["claim"] in (one.id, one.part_of)]
        flagged = str(sum(len(flags.get(one.id, ())) for one in claims)) if len(audit_frame(record)) else NOT_AUDITED
        yield RecordedClaim(run.study.name, run.protocol.name, line, old, _runs(record, claims), flagged)


def _runs(record: Record, claims: Sequence[Better]) -> str:
    """What claims compare: runs, what they are repeated over, and minutes of training without what they begin with.

    Trunks of a teacher that the claim is not asked of stand beside it: their runs are left out.
    """
    rows, minutes = {row for claim in claims for row in claim.rows}, minutes_frame(record)
    runs = record.runs[record.runs["row"].isin(rows)]
    if record.protocol.trunks:
        counted = {trunk for claim in claims for trunk in trunks_of(claim, record.protocol).counted}
        runs, minutes = (frame[frame["trunk"].isin(counted)] for frame in (runs, minutes))
    name = "trunk" if record.protocol.trunks else "seed"
    spent = minutes.loc[minutes["row"].isin(rows), "minutes"].sum()
    count = runs[name].nunique()
    return f"{len(runs)} runs, {count} {name}{'s' * (count != 1)}, {spent:.0f} min" if len(runs) else ""


def verdict_table(published: bool = True, root: str = "") -> str:
    """The table as Markdown: one line per claim, with links to the pages that show it under each protocol.

    Of a statement the page has the parts, of a note all but the first sentence.

    Args:
        published: of the paper's claims; else of those that studies ask alone.
        root: the way from the file to the checkout, for links.
    """
    claims = [one for one in recorded_claims() if not one.line.get("part_of") and one.published == published]
    told: dict[str, list[RecordedClaim]] = {}
    for claim in claims:
        told.setdefault(claim.line["claim"] + claim.line["text"], []).append(claim)
    rows = [_cells(first, others, root) for first, *others in told.values()]
    heads = [*HEADS, REPEATED, ELSEWHERE]
    used = [i for i, head in enumerate(heads) if head in HEADS or any(cells[i] for cells in rows)]
    lines = [_line([cells[i] for i in used]) for cells in (heads, ["---"] * len(heads), *rows)]
    notes = [f"{MARK} {sentence(EARLIER.partition('. ')[0])}"] * any(claim.earlier for claim in claims)
    return "\n\n".join(["\n".join(lines), *notes])


def _line(cells: Sequence[str]) -> str:
    return f"|{'|'.join(cell.replace('|', chr(92) + '|') for cell in cells)}|"


def _cells(claim: RecordedClaim, others: Sequence[RecordedClaim], root: str) -> list[str]:
    """A claim under its first protocol; `others`: the same under further ones, of which the verdicts are told."""
    elsewhere = ", ".join(_judged(one, root) for one in others)
    what = claim.line["claim"], claim.line["text"]
    return [*what, _judged(claim, root), claim.effect, claim.runs, claim.flagged, claim.repeats, elsewhere]


def _judged(claim: RecordedClaim, root: str) -> str:
    """The verdict, and the protocol with its page."""
    page = _page(claim)
    return f"{claim.verdict} {claim.protocol if page is None else f'[{claim.protocol}]({root}{page})'}"


def _page(claim: RecordedClaim) -> Path | None:
    """The study's page under that protocol. Costs have none of their own: they stand in the study's other pages."""
    protocols = (claim.protocol, *PROTOCOLS)
    names = (*(f"{claim.study}_{protocol}.md" for protocol in protocols), f"{claim.study}.md")
    return next((RENDERED / name for name in names if (RENDERED / name).exists()), None)


if __name__ == "__main__":
    sys.exit(renew("verdicts", verdict_table, sys.argv[1:]))
