"""What a page says first and last: its conclusion, its verdicts, what else differs, and how to make it again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from workbench.evaluation.metrics import METRICS
from workbench.experiments.profiling import REPORT_DATA
from workbench.report import fairness, findings
from workbench.report.findings import values
from workbench.report.frames import Frame
from workbench.report.freshness import MLFLOW
from workbench.report.pieces import LeftOut, Text, left_out, paragraphs, sentence, table_text
from workbench.report.record import Record
from workbench.report.reproduce import page_command, study_command
from workbench.report.rows import by_spot, missing, repeated, stale
from workbench.report.verdict_frames import EARLIER, TIMING, TRAINING, earlier, verdicts_frame
from workbench.study import BESIDE

MARK = "†"  # of a verdict by an earlier rule


def head(record: Record) -> Text:
    """The question, the conclusion, what was run where, and what to mind."""
    return paragraphs(f"# {record.study.question}", conclusion(record), about(record), _warnings(record))


def conclusion(record: Record) -> str:
    """What holds, fails and is open, and how surely."""
    said = findings.concluded(verdicts_frame(record), _judged_on(record))
    return f"What training decides is of an earlier version, see below. {said}" if earlier(record) else said


def _judged_on(record: Record) -> str:
    """Over what chance the claims were judged."""
    seeds = by_spot(record, "AP").drop(index=repeated(record), errors="ignore").notna()
    counts = sorted(set(seeds.T.groupby(level="number").any().sum()))
    said = f"{counts[0]:g}" if len(counts) == 1 else f"{counts[0]:g} to {counts[-1]:g}"
    trunks = record.runs["trunk"].nunique() if (record.runs["trunk"] != "").any() else 0
    return f"{said} seed{'s' * (said != '1')} of each row" + f" on each of {trunks} trunks" * bool(trunks)


def about(record: Record) -> str:
    """What was run, how often, where; and where the numbers stand."""
    runs, protocol = record.runs, record.protocol
    done = f"{len(runs) - stale(record)} of {len(record.jobs)} runs are recorded"
    what = (
        f"{sentence(record.study.source)} Protocol `{protocol.name}`: {protocol.about}. {protocol.answers} {done}; "
        f"seeds {values(runs, 'seed')}; "
        f"{values(runs, 'machine')}; threads {values(runs, 'threads')}; {values(runs, 'precision')}."
    )
    return f"{what}\n\n{origin(record)}"


def origin(record: Record) -> str:
    """Where the numbers come from."""
    said = (
        f"Numbers from job folders at commit {values(record.runs, 'commit')}: `result.json`, `curve.csv` and, for "
        f"intervals, `records.npz` of {len(record.runs)} runs. They stand in `{REPORT_DATA / record.stem}.csv` and the "
        "files beside it"
    )
    return said + ("; the MLflow store holds the same files of each run." if MLFLOW in record.runs else ".")


def _warnings(record: Record) -> str:
    found = []
    if gone := missing(record):
        found.append(f"The record lacks {findings.listed([f'“{label}”' for label in gone])}.")
    asked = record.study.seeds_under(record.protocol)
    if record.seeds < asked:
        found.append(f"The protocol has {asked} seeds per row, the record {record.seeds}.")
    if old := stale(record):
        found.append(f"{_of_runs(old, record)} of an earlier version of the study or its protocol.")
    if old := earlier(record):
        found.append(f"{_of_runs(old, record)} of earlier numerics. {EARLIER}")
    lost = record.runs["unreadable_images"].max() if "unreadable_images" in record.runs else 0
    if lost > 0:
        found.append(f"{lost:.0f} images could not be read and are missing in what was trained and judged.")
    return "**Read with care.** " + " ".join(found) if found else ""


def _of_runs(count: int, record: Record) -> str:
    return f"{count} of {len(record.runs)} recorded runs {'is' if count == 1 else 'are'}"


def verdicts(record: Record) -> Text:
    """The claims with verdict and reason, and what the audit has flagged of their rows."""
    old = bool(earlier(record))
    shown = verdict_lines(verdicts_frame(record), fairness.claim_flags(record), old)
    marked = f"{MARK} Of an earlier version, see “Read with care”." if MARK in shown.text else ""
    return paragraphs(shown.text, marked)


def verdict_lines(frame: Frame, flags: Mapping[str, Sequence[str]] | None = None, old: bool = False) -> Text:
    """A table of verdicts. `old`: what training has decided was decided by an earlier rule."""
    if frame.empty:
        return Text("The study makes no claim.")
    marks = [f"\u00a0{MARK}" if old and by == TRAINING else "" for by in frame["decided_by"]]
    columns: dict[str, list[str]] = {
        "id": list(frame["claim"]),
        "claim": list(frame["text"]),
        "verdict": [f'<b class="{word}">{word}</b>{m}' for word, m in zip(frame["verdict"], marks, strict=True)],
        "effect (interval)": list(frame["effect"]),
        "why": list(frame["reason"]),
    }
    if any(frame["beside"]):
        columns["beside AP"] = [str(word) for word in frame["beside"]]
    if flags:
        columns["what else differs"] = ["<br>".join(flags.get(claim, ())) for claim in frame["claim"]]
    table = table_text(list(columns), [list(line) for line in zip(*columns.values(), strict=True)])
    says = (f"{name}: a row that is better in it {METRICS[name].says}." for name in BESIDE if "beside AP" in columns)
    return paragraphs(table, _levels(frame), *says)


def _levels(frame: Frame) -> str:
    """What the intervals are of."""
    shown = set(frame.loc[frame["effect"] != "", "decided_by"])
    said = {
        TRAINING: "Intervals of differences are at 95 %; the correction for the other claims stands under “why”.",
        TIMING: "Intervals of ratios are as wide as all timed claims together need it: “why” has the level.",
    }
    return " ".join(text for by, text in said.items() if by in shown)


def audit(record: Record) -> Text | LeftOut:
    """What else differs between the rows besides what they name."""
    if fairness.audit_frame(record).empty:
        run = f"nox -s study -- audit {record.study.name} --protocol {record.protocol.name}"
        return left_out("What else differs", f"the record has no audit of these rows; run `{run}`")
    same, apart, lines = fairness.facts(record)
    alike = f"The same in all rows: {'; '.join(f'{name}: {value}' for name, value in same.items()) or 'nothing'}."
    heads = ["row", "compared with", "differs, besides what the row names", "flagged"]
    pairs = table_text(heads, fairness.compared_rows(record))
    return paragraphs(pairs, alike, table_text(["row", *apart], lines) if apart else "")


def reproduce(record: Record) -> Text:
    """How to get this page once more."""
    costs = f" and, of costs, `{REPORT_DATA / record.study.name}_cost*.csv`" if len(record.cost) else ""
    return Text(
        f"Run again: `{study_command(record)}`, then `{page_command(record)}`. "
        f"Every number of this page: `{REPORT_DATA / record.stem}*.csv`{costs}."
    )
