"""Metrics that are not in the table, for tests that add one."""

from typing import Any

from numpy.typing import NDArray

from workbench.evaluation.metrics import Average, Metric, Ratio, count_by_image
from workbench.evaluation.records import MatchRecords


def missed(records: MatchRecords) -> NDArray[Any]:
    """(I,) persons that no detection matches at OKS 0.75."""
    return records.positives.sum(0) - count_by_image(records, records.matched[:, 5] & ~records.ignored[:, 5])


ADDED = (
    Metric("AP60", Average("precision", (0.6,))),
    Metric("missed", Ratio(missed, lambda r: r.positives.sum(0)), better="lower", meaning="the part that is missed"),
)
