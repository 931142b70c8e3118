"""The tables of a page as numbers, one line per row. Quality is in 0..1 as recorded; who shows it makes it percent."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from workbench.evaluation.metrics import Place, metrics_at
from workbench.models.job import Job
from workbench.report.diagnosis import ERROR_KINDS
from workbench.report.frames import Frame
from workbench.report.record import Record
from workbench.report.rows import best_row, cost_frame, labels, lead
from workbench.training.record import train_minutes


def ablation_frame(record: Record) -> Frame:
    """One line per row: AP with its spread over seeds, differences, what it costs, minutes of training.

    Columns: AP, sd (within a trunk where there are trunks; nan of one seed), above and first (AP minus that of the row
    above and of the first row, over the runs that both have), best, params, gflops, ratio (to the first timed row),
    minutes. One row is `best`, or none: see `best_row`.
    """
    rows, grouped = labels(record), record.runs.groupby("row")
    table = pd.DataFrame(index=pd.Index(rows, name="row"))
    table["AP"], table["seeds"] = grouped["AP"].mean(), grouped["seed"].nunique()
    table["sd"] = [_spread(record.runs[record.runs["row"] == row]) for row in rows]
    table["above"] = [math.nan, *(lead(record, row, than) for row, than in pairwise_back(rows))]
    table["first"] = [math.nan, *(lead(record, row, rows[0]) for row in rows[1:])]
    table["best"] = table.index == best_row(record, "AP")
    for name in ("params", "gflops"):
        table[name] = grouped[name].mean() if name in record.runs else math.nan
    timed = cost_frame(record)
    table["ratio"] = timed["latency_ratio"] if len(timed) else math.nan
    table["minutes"] = minutes_frame(record).groupby("row")["minutes"].mean()
    return table


def pairwise_back(rows: Sequence[str]) -> list[tuple[str, str]]:
    """Each row but the first, with the one above it."""
    return list(zip(rows[1:], rows[:-1], strict=True))


def _spread(runs: Frame) -> float:
    """The standard deviation over seeds: of other trunks a row's AP says more than the row does."""
    rest = runs["AP"] - runs.groupby("trunk")["AP"].transform("mean")
    free = len(runs) - runs["trunk"].nunique()
    return math.sqrt(float((rest**2).sum()) / free) if free > 0 else math.nan


def minutes_frame(record: Record) -> Frame:
    """Minutes of training by run, without those of what it begins with."""
    jobs = {one.job.key: one.job for one in record.jobs}
    lines = [
        {"row": row, "seed": seed, "trunk": trunk, "minutes": _minutes(run.to_dict("records"), jobs)}
        for (row, seed, trunk), run in _by_run(record.curves)
    ]
    return pd.DataFrame(lines, columns=["row", "seed", "trunk", "minutes"])


def _minutes(curve: Sequence[Mapping[str, Any]], jobs: Mapping[str, Job]) -> float:
    """nan for a job that the study would not run any more."""
    job = jobs.get(curve[0]["job"])
    return math.nan if job is None else train_minutes(curve, job.protocol.epoch_images, job.start.epoch)


def _by_run(curves: Frame) -> Any:
    return curves.groupby(["row", "seed", "trunk"], sort=False) if len(curves) else ()


def published_frame(record: Record) -> Frame:
    """The rows that have a published AP: value in percent, and where it stands."""
    cited = [row for row in record.study.rows if row.cited]
    lines = [{"row": row.label, "value": row.cited.value, "source": row.cited.source} for row in cited if row.cited]
    return pd.DataFrame(lines, columns=["row", "value", "source"])


def table_frame(record: Record) -> Frame:
    """One line per row: runs and seeds, the mean of every metric of the report but costs, AP per trunk."""
    runs, rows = record.runs, labels(record)
    grouped = runs.groupby("row")
    table = pd.DataFrame(index=pd.Index(rows, name="row"))
    table["runs"], table["seeds"] = grouped.size(), grouped["seed"].nunique()
    for metric in metrics_at(Place.REPORT):
        # the evaluation gives -1 where no person is of that size
        if metric.measure and metric.name in runs and (runs[metric.name] >= 0).any():
            table[metric.name] = grouped[metric.name].mean()
    for trunk in sorted(set(runs["trunk"]) - {""}):
        table[f"AP on {trunk}"] = runs[runs["trunk"] == trunk].groupby("row")["AP"].mean()
    return table


def metric_frame(record: Record, metric: str) -> Frame:
    """Mean and interval of a metric by row; without columns where the record has no intervals."""
    if record.rows.empty:
        return pd.DataFrame(index=pd.Index([], name="row"))
    return record.rows[record.rows["metric"] == metric].set_index("row")


def intervals_of_rows(runs: Frame, rows: Frame) -> Frame:
    """The intervals of single rows that may be drawn: under a probe those over images alone.

    Three trunks lie tens of AP apart, the same ones for every row: an interval of one row over other trunks would
    reach from 0 to 100 and say nothing of the row. Differences, which are taken on each trunk, have intervals of that.
    """
    if rows.empty or not (runs["trunk"] != "").any():
        return rows
    return rows.assign(low=math.nan, high=math.nan)


def interval_of(rows: Frame) -> str:
    """Of what the widest intervals of rows speak; "" where there are none but those over images."""
    if rows.empty or rows["low"].isna().all() or "seeds_low" not in rows or rows["seeds_low"].isna().all():
        return ""
    return "other images, other seeds, or both, whichever is widest"


def kinds_frame(record: Record) -> Frame:
    """Rows x kinds of error: shares of the labelled key points of matched persons; empty where not recorded."""
    if record.points.empty:
        return record.points
    counts = record.points.groupby("row")[list(ERROR_KINDS)].sum()
    counts = counts.loc[[row for row in labels(record) if row in counts.index]]
    return counts.div(counts.sum(axis="columns"), axis="index").dropna()


def slices_mean(record: Record, by: str) -> Frame:
    """AP by slice and row, over seeds and trunks; columns in the order of the slices."""
    if record.slices.empty:
        return record.slices
    mine = record.slices[(record.slices["by"] == by) & (record.slices["AP"] > -1)]
    order = list(dict.fromkeys(mine["slice"]))
    rows = [label for label in labels(record) if label in set(mine["row"])]
    return mine.pivot_table(index="row", columns="slice", values="AP").reindex(index=rows, columns=order)
