"""Match records with a known number of persons found."""

import numpy as np

from workbench.evaluation.records import MatchRecords

IMAGES = 40


def records(found: int) -> MatchRecords:
    """One person and one detection per image; the first `found` are right at every threshold."""
    right = np.repeat((np.arange(IMAGES) < found)[:, None], 10, axis=1)
    return MatchRecords(
        image_ids=np.arange(IMAGES, dtype=np.int64),
        image=np.arange(IMAGES, dtype=np.int32),
        category=np.zeros(IMAGES, np.int16),
        scores=np.linspace(1, 0.5, IMAGES),
        matched=right,
        ignored=np.zeros_like(right),
        positives=np.ones((1, IMAGES), np.int32),
        oks_sum=right[:, 0].astype(float),
        oks_count=np.ones(IMAGES, np.int32),
        error_sum=np.zeros(IMAGES),
        error_count=np.ones(IMAGES, np.int32),
    )
