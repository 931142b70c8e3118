"""What a run has measured, as claims read it."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

from workbench.core.errors import Refused
from workbench.evaluation.bootstrap import Resampled, resample
from workbench.evaluation.metrics import METRICS, UNDEFINED
from workbench.evaluation.records import MatchRecords
from workbench.training.record import Result

Read = Callable[[Result, str], Resampled]


def resampled_run(result: Result, metric: str) -> Resampled:
    """The resampled metric of a run, from its match records. Computed once per process.

    Raises:
        Refused: the run has none.
    """
    path = result.folder / "records.npz"
    if not path.exists():
        raise Refused(f"{path} is missing: {metric} is compared image by image; train that job again")
    return _recorded(path, path.stat().st_mtime_ns, metric)


@lru_cache(maxsize=4096)
def _recorded(path: Path, _: int, metric: str) -> Resampled:
    return resample(MatchRecords.load(path), metric)


def is_known(metric: str, run: Result) -> bool:
    """Whether a run tells it. COCO's -1 says that no person counts."""
    value = run.metrics.get(metric, math.nan)
    return METRICS[metric].resample is not None or (math.isfinite(value) and value != UNDEFINED)


def value_of(run: Result, metric: str, read: Read) -> float:
    """On all images; nan where it is not known."""
    if METRICS[metric].resample is not None:
        return read(run, metric).observed
    return run.metrics[metric] if is_known(metric, run) else math.nan
