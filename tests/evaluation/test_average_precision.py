"""Average precision of many resamples at once."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
import pytest

from tests.evaluation.golden import golden
from tests.evaluation.resamples import synthetic
from workbench.evaluation.average_precision import resampled_ap
from workbench.evaluation.bootstrap import image_weights, metric_from_records, resampled_metric


def test_chunks_do_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    records = golden("coco").records
    weights = image_weights(len(records.image_ids), 50, 1)
    whole = resampled_metric(records, weights)
    monkeypatch.setattr("workbench.evaluation.average_precision.CELLS", 1)
    assert np.array_equal(whole, resampled_metric(records, weights))


@pytest.mark.slow
def test_two_thousand_resamples_in_seconds() -> None:
    records = synthetic(np.random.default_rng(0), 1_000, 4)
    weights = image_weights(1_000, 2_000, 0)
    start = time.process_time()
    values = resampled_metric(records, weights)
    assert time.process_time() - start < 10
    assert values.std() > 0 and values.mean() == pytest.approx(metric_from_records(records), abs=0.01)


def test_resamples_by_hand() -> None:
    """A person in each of two images. The first is found; a false one comes before the second person."""
    records = replace(
        synthetic(np.random.default_rng(0), 2, 0),
        positives=np.ones((1, 2), np.int32),
        image=np.array([0, 1, 1], np.int32),
        category=np.zeros(3, np.int16),
        scores=np.array([0.9, 0.8, 0.7]),
        matched=np.repeat([[True], [False], [True]], 10, axis=1),
        ignored=np.zeros((3, 10), np.bool_),
    )
    weights = np.array([[1, 1], [1, 0], [0, 1], [2, 1], [0, 0]])
    two, three = (51 + 50 * 2 / 3) / 101, (67 + 34 * 3 / 4) / 101  # recalls up to 1/2, to 2/3; the others
    assert resampled_ap(records, weights, range(10)).tolist() == pytest.approx([two, 1, 0.5, three, -1])
