"""Precision against recall, from the match records of complete jobs."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from workbench.evaluation.records import OKS_THRESHOLDS, MatchRecords
from workbench.experiments.claims import Results
from workbench.report.frames import Frame
from workbench.tensors import Floats

THRESHOLDS = (0.5, 0.75)  # of OKS
CURVE_RECALLS: Floats = np.linspace(0, 1, 51)
PRECISION_COLUMNS = ["row", "threshold", "recall", "precision"]


def precision_frame(results: Results) -> Frame:
    """One line per row, threshold and recall: the mean precision over runs, 0 beyond the recall that a run reaches."""
    by_row: dict[str, list[MatchRecords]] = {}
    for one, result in results:
        by_row.setdefault(one.row, []).append(MatchRecords.load(result.folder / "records.npz"))
    lines = []
    for row, records in by_row.items():
        for threshold in THRESHOLDS:
            mean = np.mean([interpolated_precision(one, threshold, CURVE_RECALLS) for one in records], axis=0)
            lines += [(row, threshold, float(r), float(p)) for r, p in zip(CURVE_RECALLS, mean, strict=True)]
    return pd.DataFrame(lines, columns=PRECISION_COLUMNS)


def interpolated_precision(records: MatchRecords, threshold: float, recalls: Sequence[float] | Floats) -> Floats:
    """(R,): the highest precision at each recall or beyond, classes together, as COCO interpolates it."""
    column = int(np.abs(OKS_THRESHOLDS - threshold).argmin())
    order = np.argsort(-records.scores, kind="stable")
    counts = order[~records.ignored[order, column]]
    right = records.matched[counts, column]
    true, seen = np.cumsum(right), np.arange(1, len(right) + 1)
    persons = max(1, int(records.positives.sum()))
    best = np.maximum.accumulate((true / seen)[::-1])[::-1]
    # a recall of 1 is that of all persons: rounding must not ask for one more
    at = np.searchsorted(true / persons, np.asarray(recalls) - 1e-9)
    return np.append(best, 0.0)[np.minimum(at, len(best))]
