"""Rows go by their names on a page, by their labels in jobs and files."""

from dataclasses import replace

import pytest

from tests.report.made_up import STUDY, text, with_study
from workbench.report import page
from workbench.report.names import named, row_name
from workbench.report.record import Record
from workbench.report.rows import labels, missing
from workbench.report.verdict_frames import verdicts_frame
from workbench.study import Better


@pytest.mark.parametrize(
    ("label", "name"),
    [("- cell position", "without cell position"), ("+ MLE (RTMO)", "with MLE (RTMO)"), ("A/A", "A/A"), ("-5", "-5")],
)
def test_signs_are_read_as_words(label: str, name: str) -> None:
    assert row_name(label) == name


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
