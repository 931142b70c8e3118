"""What a notebook calls: one function for each piece of a page, gathered from the files that make them."""

from __future__ import annotations

from workbench.report.figure_pieces import (
    curves,
    forest,
    fronts,
    kinds,
    loss_curves,
    points,
    precision,
    quality,
    slices,
)
from workbench.report.head_pieces import audit, head, reproduce, verdicts
from workbench.report.network_pieces import examples, heatmaps
from workbench.report.persons_pieces import growth, persons, profile_head
from workbench.report.table_pieces import ablation, costs, flatness, front_table, published, runs, table

__all__ = [
    "ablation",
    "audit",
    "costs",
    "curves",
    "examples",
    "flatness",
    "forest",
    "front_table",
    "fronts",
    "growth",
    "head",
    "heatmaps",
    "kinds",
    "loss_curves",
    "persons",
    "points",
    "precision",
    "profile_head",
    "published",
    "quality",
    "reproduce",
    "runs",
    "slices",
    "table",
    "verdicts",
]
