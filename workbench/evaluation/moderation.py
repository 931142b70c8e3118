"""A claim's own spread, moderated by that of the whole study.

A claim of n paired differences knows its variance with n - 1 degrees of freedom: 1 or 2. The additive model rows +
seeds knows that of a run with about (rows - 1) x (seeds - 1), but takes all rows to vary alike. So the second counts
as `STUDY_WEIGHT` further degrees of freedom of the first, however many it has: as in limma (Smyth 2004), with the
weight of the prior fixed. To take the study's variance alone, or to estimate the weight, decides false claims where
one row varies more than the others. Two rows alone are Student's test, and with many seeds every claim tends to it.
`benchmarks/coverage.py` simulates what it keeps.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from workbench.tensors import Floats

STUDY_WEIGHT = 2.0  # degrees of freedom of a claim's own spread that the spread of its study counts for


class StudySpread(NamedTuple):
    """What a difference varies by from seed to seed, as the runs of its whole study tell."""

    variance: Any  # numbers, or arrays over many studies or claims
    freedom: Any


class Residual(NamedTuple):
    """What is left of the runs of a study when rows and seeds are taken out: how much one run varies by chance."""

    variance: Any  # as above
    freedom: Any

    def of_difference(self, runs: Any) -> StudySpread:
        """That of a difference in which so many runs count, each once: 2, or 4 of a difference of two differences."""
        return StudySpread(runs * self.variance, self.freedom)


def residual_of(values: Floats) -> Residual:
    """Of a table (rows, seeds), nan where a run is missing: mean square around the additive fit, by least squares."""
    row, seed = np.nonzero(np.isfinite(values))
    design = np.concatenate([np.eye(values.shape[0])[row], np.eye(values.shape[1])[seed]], axis=1)
    found = values[row, seed]
    if not len(found):
        return Residual(0.0, 0)
    fit, _, rank, _ = np.linalg.lstsq(design, found, rcond=None)
    freedom = len(found) - int(rank)
    return Residual(float(np.square(found - design @ fit).sum()) / max(freedom, 1), freedom)


def moderated(own: Any, count: Any, study: StudySpread | None) -> tuple[Any, Any]:
    """Variance of one difference, and its degrees of freedom.

    Args:
        own: variance of the claim's `count` differences; numbers, or arrays over many claims.
        study: that of such a difference; None, or one without freedom, leaves the claim to itself: Student's test.
    """
    if study is None or np.max(study.freedom) < 1:
        return own, count - 1
    weight = STUDY_WEIGHT + count - 1
    variance = (STUDY_WEIGHT * study.variance + (count - 1) * own) / weight
    return variance, np.maximum(count - 1, np.minimum(weight, study.freedom))
