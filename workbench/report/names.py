"""Names of rows that read as text. A label is the key of jobs and CSV files; a page shows its name instead."""

from __future__ import annotations

from dataclasses import replace
from typing import TypeVar

from workbench.report.frames import Frame
from workbench.report.record import Record
from workbench.study import MINUS, Better, Cheaper, Study

_SIGNS = {"- ": "without ", "+ ": "with "}
_Compared = TypeVar("_Compared", Better, Cheaper)


def row_name(label: str) -> str:
    """ "- cell position" reads "without cell position", "+ MLE" reads "with MLE"; any other label stays.

    Of a difference of two rows, as claims have it, each is named.
    """
    if label.startswith("(") and MINUS in label:
        return f"({MINUS.join(map(row_name, label[1:-1].split(MINUS)))})"
    word = _SIGNS.get(label[:2])
    return label if word is None else word + label[2:]


def named(record: Record) -> Record:
    """The record with names in place of labels, everywhere at once: what is shown needs no second look-up."""
    frames = {part: _renamed(frame) for part, frame in record.frames.items()}
    jobs = tuple(replace(one, row=row_name(one.row)) for one in record.jobs)
    return replace(record, run=replace(record.run, study=_study(record.study)), jobs=jobs, **frames)


def _renamed(frame: Frame) -> Frame:
    there = [column for column in ("row", "than") if column in frame]
    return frame.assign(**{column: frame[column].map(row_name, na_action="ignore") for column in there})


def _study(study: Study) -> Study:
    rows = tuple(replace(row, label=row_name(row.label)) for row in study.rows)
    claims = tuple(_better(claim) for claim in study.claims)
    return replace(study, rows=rows, claims=claims, costs=tuple(_claim(claim) for claim in study.costs))


def _claim(claim: _Compared) -> _Compared:
    return replace(claim, row=row_name(claim.row), than=row_name(claim.than))


def _better(claim: Better) -> Better:
    if claim.more_than is None:
        return _claim(claim)
    better, worse = claim.more_than
    return replace(_claim(claim), more_than=(row_name(better), row_name(worse)))
