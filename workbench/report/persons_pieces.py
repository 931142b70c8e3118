"""The page of a study that times networks against the number of persons."""

from __future__ import annotations

from workbench.core.errors import Refused
from workbench.experiments.profiling import REPORT_DATA
from workbench.report import figures, findings
from workbench.report.head_pieces import verdict_lines
from workbench.report.persons import growth_frame, persons_frame
from workbench.report.pieces import PagePicture, Text, paragraphs, picture, sentence, table_text
from workbench.report.record import read_csv
from workbench.report.table_pieces import conditions
from workbench.report.verdict_frames import profile_verdicts
from workbench.study import TimingStudy, find_study


def profile_head(name: str) -> Text:
    """The question of a study that trains nothing, and its verdicts."""
    profile = _profile(name)
    found = profile_verdicts(profile)
    about = f"{sentence(profile.source)} Nothing is trained. Numbers from `{REPORT_DATA / name}*.csv`."
    return paragraphs(f"# {profile.question}", findings.concluded(found), about, verdict_lines(found).text)


def _profile(name: str) -> TimingStudy:
    found = find_study(name)
    if not isinstance(found, TimingStudy):
        raise Refused(f"study {name} trains networks: reports/ablation.ipynb shows it")
    return found


def persons(name: str) -> PagePicture:
    """Latency against the number of persons."""
    frame = persons_frame(name)
    title = findings.persons_finding(frame)
    return picture(figures.persons_figure(frame, title), title)


def growth(name: str) -> Text:
    """How latency grows with persons, by method."""
    lines = [
        [
            str(g["method"]),
            f"{g['first']:.1f} ({g['fewest']})",
            f"{g['last']:.1f} ({g['most']})",
            f"{g['ratio']:.2f}",
            f"{g['per person']:.2f}",
        ]
        for g in growth_frame(persons_frame(name)).to_dict("records")
    ]
    heads = ["method", "ms with the fewest persons", "ms with the most", "ratio", "ms per further person"]
    return paragraphs(table_text(heads, lines), conditions(read_csv(f"{name}_cost")))
