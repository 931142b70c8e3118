"""Cost against AP, and the Pareto front of the two.

Latency is the ratio to the first timed row, timed side by side. The instrument itself is wrong by up to its slack, so
two rows nearer than that cost the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pandas as pd

from workbench.report.frames import Frame
from workbench.report.record import Record
from workbench.report.rows import cost_frame, labels, shared_means
from workbench.report.tables import intervals_of_rows, metric_frame

COSTS = ("latency", "gflops")


def front_frame(record: Record, cost: str) -> Frame:
    """Cost, AP and its intervals by row, and by whom each is dominated; rows without the numbers left out.

    A row that repeats another with other seeds is left out: it is the same network. Means are over shared spots.

    Columns: AP, cost, low, high, images_low, images_high, dominators (labels; empty on the front), front.

    Args:
        cost: "gflops" of the trained network, or "latency": times the first row's at published size.
    """
    costs, slack = _costs(record, cost)
    if costs is None:
        return pd.DataFrame(columns=["cost", "AP", "front"])
    frame = pd.DataFrame({"AP": shared_means(record, "AP")}).join(costs.rename("cost"))
    ends = ["low", "high", "images_low", "images_high"]
    intervals = metric_frame(replace(record, rows=intervals_of_rows(record.runs, record.rows)), "AP")
    frame = frame.join(intervals.reindex(columns=ends)).dropna(subset=["cost", "AP"])
    frame = frame.loc[[label for label in labels(record) if label in frame.index]]
    return with_front(frame, slack)


def _costs(record: Record, cost: str) -> tuple[Any, float]:
    """The cost by row, None where it is not recorded, and the share that it may be wrong by."""
    if cost == "latency":
        timed = cost_frame(record)
        slack = float(timed["slack"].max()) if "slack" in timed else 0.0
        return (timed["latency_ratio"] if len(timed) else None), slack
    return (record.runs.groupby("row")[cost].mean() if cost in record.runs else None), 0.0


def with_front(frame: Frame, slack: float) -> Frame:
    """The frame with `dominators` of each row, the best of them first, and whether there are none: `front`.

    One row dominates another if it costs no more, scores no less, and is better in one of the two. Costs of which
    neither is above the other by more than `slack`, a share, are equal.
    """
    lines = frame.sort_values("AP", ascending=False, kind="stable")
    points = list(zip(lines.index, lines["cost"], lines["AP"], strict=True))
    found = [
        [str(label) for label, *other in points if dominates(other, mine, slack)]
        for mine in zip(frame["cost"], frame["AP"], strict=True)
    ]
    return frame.assign(dominators=found, front=[not others for others in found])


def dominates(one: Sequence[float], other: Sequence[float], slack: float) -> bool:
    """Whether one (cost, AP) leaves no reason to take the other."""
    cheaper, dearer = (a * (1 + slack) < b for a, b in ((one[0], other[0]), (other[0], one[0])))
    return not dearer and one[1] >= other[1] and (cheaper or one[1] > other[1])


def alike(record: Record) -> str:
    """What to say where all rows count the same: they run one network, and a front of them is drawn by chance.

    Empty where they do not.
    """
    counted = [set(record.runs[name]) for name in ("params", "gflops") if name in record.runs]
    if not counted or len(set(record.runs["row"])) < 2 or any(len(values) > 1 for values in counted):
        return ""
    return "every row has the same parameters and multiply-adds"
