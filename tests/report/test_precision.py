"""Precision against recall, against a slow count."""

from dataclasses import replace

import numpy as np
import pytest

from tests.matched import records
from tests.report.made_up import run_in
from workbench.report.precision import CURVE_RECALLS, interpolated_precision, precision_frame
from workbench.report.record import Record, results_of


def test_it_is_the_best_precision_at_each_recall_or_beyond() -> None:
    rng = np.random.default_rng(0)
    found = records(20)
    right = np.repeat(rng.random((40, 1)) < 0.6, 10, axis=1)
    found = replace(
        found, matched=right, scores=rng.permutation(40) / 40.0, ignored=np.repeat(rng.random((40, 1)) < 0.1, 10, 1)
    )
    order = [i for i in np.argsort(-found.scores) if not found.ignored[i, 0]]
    points = []
    for count in range(1, len(order) + 1):
        true = sum(bool(right[i, 0]) for i in order[:count])
        points.append((true / 40, true / count))
    slow = [max((p for r, p in points if r >= recall - 1e-9), default=0.0) for recall in CURVE_RECALLS]
    assert (
        interpolated_precision(found, 0.5, CURVE_RECALLS) == pytest.approx(slow) and 0 < slow[10] < 1 and slow[-1] == 0
    )


def test_recall_ends_where_no_more_persons_are_found(record: Record) -> None:
    frame = precision_frame(results_of(run_in(record.run.home)))
    base = frame[(frame["row"] == "base") & (frame["threshold"] == 0.5)]  # 20 of 40, the best scored ones
    assert base.loc[base["precision"] > 0, "recall"].max() == pytest.approx(0.5)
    assert set(base.loc[base["recall"] <= 0.5, "precision"]) == {1.0}
