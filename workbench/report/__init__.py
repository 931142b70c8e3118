"""The report of a study: its record as CSV files, numbers, figures, and the pieces of a page that notebooks show."""

from workbench.report.page import (
    again,
    curves,
    examples,
    flatness,
    forest,
    front_table,
    fronts,
    growth,
    head,
    heatmaps,
    persons,
    quality,
    slices,
    table,
    verdicts,
)
from workbench.report.record import Record, open_record, write

__all__ = [
    "Record",
    "again",
    "curves",
    "examples",
    "flatness",
    "forest",
    "front_table",
    "fronts",
    "growth",
    "head",
    "heatmaps",
    "open_record",
    "persons",
    "quality",
    "slices",
    "table",
    "verdicts",
    "write",
]
