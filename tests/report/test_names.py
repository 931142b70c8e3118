"""Rows go by their names on a page, by their labels in jobs and files."""

from dataclasses import replace

import pytest

from tests.report.made_up import STUDY, text, with_study
from workbench.evaluation.intervals import Interval
from workbench.evaluation.verdicts import Verdict
from workbench.experiments.claims import ClaimResult
from workbench.report import page
from workbench.report.drawing import Hover
from workbench.report.forest_figure import forest_figure
from workbench.report.names import named, row_name
from workbench.report.record import Record, claims_frame, pairs_frame
from workbench.report.rows import labels, missing
from workbench.report.verdict_frames import forest_frame, verdicts_frame
from workbench.study import Better, Row


@pytest.mark.parametrize(
    ("label", "name"),
    [
        ("- cell position", "without cell position"),
        ("+ MLE (RTMO)", "with MLE (RTMO)"),
        ("A/A", "A/A"),
        ("-5", "-5"),
        ("(MLE (RTMO))", "(MLE (RTMO))"),
        ("(- MLE − + KLD (ours))", "(without MLE − with KLD (ours))"),
    ],
)
def test_signs_are_read_as_words(label: str, name: str) -> None:
    assert row_name(label) == name


def test_a_difference_of_differences_is_shown_as_one(record: Record) -> None:
    """Tables and figures have its two differences where a pair has its two rows, by the names of these."""
    rows = (*STUDY.rows, Row("- base", {"coords.padding": 1.7}), Row("- more", {"coords.padding": 1.9}))
    claim = Better("I", "it pays more", "more", "base", more_than=("- more", "- base"))
    study = replace(STUDY, rows=rows, claims=(claim,))
    interval = Interval(mean=0.02, low=0.01, high=0.03, differences=(0.02, 0.02))
    judged = [ClaimResult(claim, Verdict.HOLDS, "because", interval, p=0.01, adjusted=0.01)]
    frames = {"claims": claims_frame([claim], judged), "pairs": pairs_frame([claim], judged)}
    found = named(replace(with_study(record, study), **frames))
    (line,) = verdicts_frame(found).to_dict("records")
    assert (line["verdict"], line["reason"], line["effect"]) == ("holds", "because", "+2.0 AP (+1.0 to +3.0)")
    (drawn,) = forest_frame(found).to_dict("records")
    assert (drawn["row"], drawn["than"]) == ("(more − base)", "(without more − without base)")
    hover = Hover()
    forest_figure(forest_frame(found), "title", hover)
    assert any("(more − base) − (without more − without base): +2.00 AP" in text for text in hover.texts.values())
    other = replace(study, claims=(replace(claim, more_than=("- base", "- more")),))
    (line,) = verdicts_frame(named(replace(with_study(record, other), **frames))).to_dict("records")
    assert line["verdict"] == "open" and "'(more − base)' is not compared with" in line["reason"]


def test_a_statement_has_no_rows_to_name(record: Record) -> None:
    """As a file has it: its cells are empty."""
    claims = record.claims.assign(row=float("nan"), than=float("nan"))
    assert named(replace(record, claims=claims)).claims["row"].isna().all()


def test_every_part_of_a_record_has_the_names(record: Record) -> None:
    """`more` is called "+ more" everywhere, as a study would."""
    rows = tuple(replace(row, label="+ more") if row.label == "more" else row for row in STUDY.rows)
    study = replace(STUDY, rows=rows, claims=(Better("P1", "more is better", "+ more", "base"),))
    frames = {
        part: frame.replace({"row": {"more": "+ more"}, "than": {"more": "+ more"}}) if len(frame) else frame
        for part, frame in record.frames.items()
    }
    jobs = tuple(replace(one, row="+ more") if one.row == "more" else one for one in record.jobs)
    found = named(replace(with_study(record, study), jobs=jobs, **frames))
    assert labels(found) == ["base", "with more", "A/A"] and not missing(found)
    assert verdicts_frame(found)["verdict"].tolist() == ["holds"], "the claim is still about these rows"
    for piece in (page.head, page.ablation, page.table, page.verdicts):
        assert "+ more" not in text(piece(found))
    assert [one.job.key for one in found.jobs] == [one.job.key for one in jobs], "jobs are the same"
