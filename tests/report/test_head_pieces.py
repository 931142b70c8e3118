"""What a page says first."""

from dataclasses import replace

import pandas as pd

from tests.report.made_up import SETTING, STUDY, still, text, with_study
from workbench.models.zoo import nano
from workbench.report import head_pieces, page
from workbench.report.record import Record
from workbench.report.verdict_frames import EARLIER, TIMING, TRAINING
from workbench.study import Row, Study
from workbench.training.record import FIRST_NUMERICS


def test_the_head_says_what_is_missing_and_what_is_old(record: Record) -> None:
    assert "9 of 9 runs are recorded" in text(page.head(record)) and "Read with care" not in text(page.head(record))
    rows = (*STUDY.rows, Row("less", {"coords.padding": 1.1}))
    newer = Study("padding", "?", "a test", nano(), rows, STUDY.claims)
    runs = record.runs.assign(job=["gone", *record.runs["job"][1:]])
    head = text(page.head(replace(with_study(record, newer), jobs=tuple(newer.planned_jobs(SETTING)), runs=runs)))
    assert "8 of 12 runs" in head and "lacks “less”" in head and "1 of 9 recorded runs is of an earlier version" in head


def test_the_head_concludes_before_anything_else(record: Record) -> None:
    first = text(page.head(record)).split("\n\n")[1]
    assert first.startswith("1 of 1 claims is decided, from 3 seeds of each row. **Holds:**")
    assert "**Holds:** more is better (P1), +1" in first and "**Open:**" not in first


def test_verdicts_of_earlier_numerics_are_marked_wherever_they_stand(record: Record) -> None:
    old = replace(record, runs=record.runs.drop(columns="numerics"))
    for page_of, marked in ((record, False), (old, True), (older(record, FIRST_NUMERICS), True)):
        head, shown = text(page.head(page_of)), text(page.verdicts(page_of))
        assert (
            head.split("\n\n")[1].startswith("What training decides is of an earlier version, see below. 1 of 1")
            == marked
        )
        assert ("9 of 9 recorded runs are of earlier numerics" in head) == (EARLIER in head) == marked
        assert ("holds</b>\u00a0†" in shown) == ("† Of an earlier version" in shown) == marked
        assert ("By an earlier rule: " in still(page.forest(page_of)).title) == marked


def older(record: Record, numerics: str) -> Record:
    return replace(record, runs=record.runs.assign(numerics=numerics))


def test_times_are_not_said_to_be_of_earlier_numerics() -> None:
    frame = pd.DataFrame(
        [
            {"claim": by, "text": "t", "verdict": "holds", "effect": "1", "reason": "r", "beside": ""}
            | {"part_of": "", "decided_by": by}
            for by in (TRAINING, TIMING)
        ]
    )
    lines = head_pieces.verdict_lines(frame, old=True).text.splitlines()
    assert "†" in lines[2] and "†" not in lines[3]
    said = text(head_pieces.verdict_lines(frame))
    assert "95 %" not in lines[0] and "differences are at 95 %" in said and "ratios are as wide" in said
    assert "ratios" not in text(head_pieces.verdict_lines(frame[:1]))
