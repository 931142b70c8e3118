"""The rows of a record beside each other: which there are, their means, and which one is best."""

from __future__ import annotations

from typing import Any

from workbench.evaluation.metrics import METRICS
from workbench.report.frames import Frame
from workbench.report.record import Record


def labels(record: Record) -> list[str]:
    """The rows that have runs, in the order of the study."""
    there = set(record.runs["row"])
    return [row.label for row in record.study.rows if row.label in there]


def missing(record: Record) -> list[str]:
    """The rows of the study that the record does not have."""
    there = set(labels(record))
    return [row.label for row in record.study.rows if row.label not in there]


def stale(record: Record) -> int:
    """Runs whose job is no longer one that the study would run."""
    planned = {one.job.key for one in record.jobs}
    return int((~record.runs["job"].isin(planned)).sum())


def by_spot(record: Record, metric: str) -> Frame:
    """A metric by row and spot: number of the seed within its row, and trunk."""
    first = {row.label: row.seed_offset for row in record.study.rows}
    runs = record.runs[record.runs["row"].isin(first)]
    runs = runs.assign(number=runs["seed"] - runs["row"].map(first))
    return runs.pivot_table(index="row", columns=["number", "trunk"], values=metric, dropna=False)


def lead(record: Record, row: str, than: str) -> float:
    """AP of a row minus that of another over the spots that both have; nan where there is none."""
    spots = by_spot(record, "AP")
    return float((spots.loc[row] - spots.loc[than]).mean())


def repeated(record: Record) -> list[str]:
    """The rows that are another one with other seeds."""
    return [row.label for row in record.study.rows if row.seed_offset]


def uneven(record: Record) -> bool:
    """Whether some rows have more seeds than others."""
    spots = by_spot(record, "AP").drop(index=repeated(record), errors="ignore")
    return bool(spots.isna().any(axis=None))


def shared_means(record: Record, metric: str) -> Any:
    """Means by row over the spots that every row has: five seeds are not compared with two. Repeats are left out."""
    shared = by_spot(record, "AP").drop(index=repeated(record), errors="ignore").dropna(axis="columns")
    return by_spot(record, metric).reindex(index=shared.index, columns=shared.columns).mean(axis="columns")


def best_row(record: Record, metric: str) -> str | None:
    """The row with the best mean, over all its runs and over the spots that every row has.

    None where these disagree, where rows have no spot in common, and where the best is shown as 0: nothing is best
    there. A row that repeats another is no candidate.
    """
    means = shared_means(record, metric).dropna()
    if means.empty:
        return None
    whole = record.runs.groupby("row")[metric].mean().reindex(means.index)
    top = _best(means, metric)
    nothing = METRICS[metric].better == "higher" and _prints_as_zero(means[top], metric)
    return None if nothing or top != _best(whole, metric) else top


def none_above_zero(record: Record) -> bool:
    """Whether AP is shown as 0 in every row that repeats no other."""
    return all(_prints_as_zero(mean, "AP") for mean in shared_means(record, "AP").dropna())


def _prints_as_zero(value: float, metric: str) -> bool:
    return METRICS[metric].text(value) == METRICS[metric].text(0.0)


def _best(means: Any, metric: str) -> str:
    return str(means.idxmax() if METRICS[metric].better == "higher" else means.idxmin())


def cost_frame(record: Record) -> Frame:
    """What the rows cost, timed side by side, in the order of the study; empty where that is not recorded."""
    if record.cost.empty:
        return record.cost
    rows = [row.label for row in record.study.rows if row.label in set(record.cost["row"])]
    return record.cost.set_index("row").loc[rows]
