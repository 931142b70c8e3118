"""From pairs of runs to the interval of their difference, image by image where match records hold the metric."""

from __future__ import annotations

from collections.abc import Sequence

from workbench.evaluation.bootstrap import blocked_bootstrap, paired_bootstrap, summed
from workbench.evaluation.intervals import Interval, t_interval
from workbench.evaluation.metrics import METRICS
from workbench.evaluation.moderation import StudySpread
from workbench.experiments.pairing import Pair, block_differences, differences
from workbench.experiments.readings import Read


def difference(
    metric: str, found: Sequence[Pair], read: Read, study: StudySpread | None = None, by_trunk: bool = False
) -> Interval:
    """The mean difference of the pairs and where it lies.

    Args:
        found: at least one pair.
        read: gives the resampled metric of a run.
        study: what such a difference varies by in the whole study; None leaves the pairs to themselves.
        by_trunk: the seeds of a trunk are averaged first, and the interval is over trunks.
    """
    if METRICS[metric].resample is None:
        return _over(block_differences(found, metric) if by_trunk else differences(found, metric), study)
    behind = [summed([read(run, metric) for run in pair.behind]) for pair in found]
    ahead = [summed([read(run, metric) for run in pair.ahead]) for pair in found]
    if by_trunk:
        return blocked_bootstrap(behind, ahead, [pair.trunk for pair in found], study=study)[1]
    return paired_bootstrap(behind, ahead, study=study)


def difference_per_trunk(metric: str, found: Sequence[Pair], read: Read) -> dict[str, Interval]:
    """The same on each trunk, over its seeds."""
    trunks = dict.fromkeys(pair.trunk for pair in found)
    return {name: difference(metric, [pair for pair in found if pair.trunk == name], read) for name in trunks}


def _over(values: Sequence[float], study: StudySpread | None) -> Interval:
    """A number that images can not be drawn for has an interval over seeds only."""
    if len(values) > 1:
        return t_interval(values, study=study)
    return Interval(mean=values[0], low=values[0], high=values[0], differences=tuple(values))
