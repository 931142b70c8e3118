"""The table of verdicts in a Markdown file, made from the recorded claims of all studies.

    python -m workbench.report.verdict_table README.md

writes the table anew between the lines `<!-- verdicts -->` and `<!-- /verdicts -->` of that file.
"""

from __future__ import annotations

import csv
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from workbench.core.errors import Refused
from workbench.core.files import write_whole
from workbench.evaluation.metrics import METRICS
from workbench.experiments.profiling import REPORT_DATA
from workbench.experiments.protocols import PROTOCOLS

BEGIN, END = "<!-- verdicts -->", "<!-- /verdicts -->"
HEADER = "|claim|text|verdict|study, protocol|difference, or times|\n|---|---|---|---|---|"
_FILE = re.compile(rf"(?P<study>\w+)_(?P<protocol>{'|'.join(PROTOCOLS)})_claims\.csv")
_PAGES = Path("reports/rendered")


@dataclass(frozen=True)
class RecordedClaim:
    """One line of a file of claims, with the study and the protocol that it was recorded under."""

    study: str
    protocol: str
    line: Mapping[str, str]

    @property
    def order(self) -> tuple[bool, str, int]:
        """Published claims (C1, C2, ...) come first, the studies' own after them."""
        letters, number = re.findall(r"^(\D*)(\d*)", self.line["claim"])[0]
        return letters != "C", letters, int(number or 0)

    @property
    def effect(self) -> str:
        """The difference or the ratio with its interval; AP and its kin in points; what is counted has none."""
        if not self.line["mean"]:
            return self.line["reason"].partition(";")[0]
        numbers = [float(self.line[name]) for name in ("mean", "low", "high")]
        if self.line.get("times"):
            return "{:.3f} times ({:.3f} to {:.3f})".format(*numbers)
        mean, low, high = map(METRICS[self.line["metric"]].difference, numbers)
        return f"{mean} ({low} to {high})"


def recorded_claims(root: Path) -> list[RecordedClaim]:
    """Every claim recorded below `root` under a protocol as it stands, published claims first.

    Records of a study that was run with `--set` or `--data` are left out: they answer another question.
    """
    return sorted(_claims(root), key=lambda claim: claim.order)


def _claims(root: Path) -> Iterator[RecordedClaim]:
    for path in sorted((root / REPORT_DATA).glob("*_claims.csv")):
        if named := _FILE.fullmatch(path.name):
            with path.open(newline="", encoding="utf-8") as file:
                yield from (RecordedClaim(named["study"], named["protocol"], line) for line in csv.DictReader(file))


def verdict_table(root: Path) -> str:
    """The table as Markdown: one line per claim and protocol, with a link to the page that shows it."""
    return "\n".join([HEADER, *(_line(root, claim) for claim in recorded_claims(root))])


def _line(root: Path, claim: RecordedClaim) -> str:
    where = f"{claim.study}, {claim.protocol}"
    if (page := _page(root, claim)) is not None:
        where = f"[{where}]({page})"
    cells = claim.line["claim"], claim.line["text"], f"*{claim.line['verdict']}*", where, claim.effect
    return f"|{'|'.join(cell.replace('|', chr(92) + '|') for cell in cells)}|"


def _page(root: Path, claim: RecordedClaim) -> Path | None:
    """The study's page under that protocol. Costs have none of their own: they stand in the study's other pages."""
    protocols = (claim.protocol, *PROTOCOLS)
    names = (*(f"{claim.study}_{protocol}.md" for protocol in protocols), f"{claim.study}.md")
    return next((_PAGES / name for name in names if (root / _PAGES / name).exists()), None)


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
    """Renews the table in each named file; studies are those recorded below the file's folder."""
    try:
        for word in words:
            file = Path(word)
            text = with_verdicts(file.read_text("utf-8"), verdict_table(file.parent))
            with write_whole(file) as part:
                part.write_text(text, "utf-8")
    except (Refused, OSError) as error:
        print(f"verdict_table: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(renew(sys.argv[1:]))
