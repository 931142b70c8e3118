"""Latency against the number of persons in the image, from what `profile_persons` has recorded."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd

from workbench.core.errors import Refused
from workbench.experiments.profiling import REPORT_DATA
from workbench.report.frames import Frame
from workbench.report.record import read_csv

WAYS = {
    "kept": "RTMO: kept persons only",
    "every cell": "RTMO: every cell decoded",
    "crops": "crops: backbone alone on 256 x 192 px each, no detector",
}


def persons_frame(name: str) -> Frame:
    """Latency against the number of persons: method, persons, p50, p90 in milliseconds, and under what conditions.

    From `reports/data/NAME_cost.csv`, whose `way` is the method.

    Raises:
        Refused: it does not have RTMO's latency for several numbers of persons.
    """
    cost = read_csv(f"{name}_cost")
    if cost.empty or cost.loc[cost["way"] == "kept", "persons"].nunique() < 2:
        raise Refused(
            f"{REPORT_DATA / name}_cost.csv has no latency for several numbers of persons; run the study first"
        )
    cost = cost.rename(columns={"latency_ms_p50": "p50", "latency_ms_p90": "p90"})
    cost["method"] = cost["way"].map(WAYS)
    return cost.sort_values(["method", "persons"], key=_ordered, kind="stable", ignore_index=True)


def _ordered(column: Any) -> Any:
    return column.map(list(WAYS.values()).index) if column.name == "method" else column


def growth_frame(persons: Frame) -> Frame:
    """By method: latency with the fewest and the most persons, their ratio, and milliseconds per further person."""
    lines = []
    for method, mine in persons.groupby("method", sort=False):
        first, last = mine.loc[mine["persons"].idxmin()], mine.loc[mine["persons"].idxmax()]
        slope = np.polyfit(mine["persons"], mine["p50"], 1)[0] if len(mine) > 1 else math.nan
        lines.append(
            {"method": method, "fewest": int(first["persons"]), "first": first["p50"], "most": int(last["persons"])}
            | {"last": last["p50"], "ratio": last["p50"] / first["p50"], "per person": slope}
        )
    return pd.DataFrame(lines)
