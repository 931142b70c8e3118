"""What a page says, as numbers and sentences: tables, fronts, bands, noise, and the finding of each figure.

`*_frame` gives numbers, `*_finding` the sentence that a figure has as its title. Nothing is drawn here. Quality is in
0..1 as recorded; who shows it makes percent of it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from workbench.core.errors import Refused
from workbench.evaluation.metrics import METRICS, PERCENT, Place, metrics_at
from workbench.experiments.claims import statements
from workbench.experiments.profiling import REPORT_DATA
from workbench.report.diagnosis import ERROR_KINDS
from workbench.report.frames import Frame
from workbench.report.record import Record, read_csv
from workbench.study import Better, Cheaper, TimingStudy
from workbench.training.record import FLAT, last_gain, train_minutes

VERDICT = ["claim", "text", "verdict", "effect", "reason", "beside"]
COSTS = ("latency", "gflops")
STATES = ("holds", "fails", "open")


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


# ----------------------------------------------------------------------------------------------------------- table


def ablation_frame(record: Record) -> Frame:
    """One line per row: AP with its spread over seeds, differences, what it costs, minutes of training.

    Columns: AP, sd (within a trunk where there are trunks; nan of one seed), above and first (AP minus that of the row
    above and of the first row, over the runs that both have), best, params, gflops, ratio (to the first timed row),
    minutes. A row is `best` by all its seeds and by those that every row has; where these disagree none is.
    """
    rows, grouped = labels(record), record.runs.groupby("row")
    table = pd.DataFrame(index=pd.Index(rows, name="row"))
    table["AP"], table["seeds"] = grouped["AP"].mean(), grouped["seed"].nunique()
    table["sd"] = [_spread(record.runs[record.runs["row"] == row]) for row in rows]
    table["above"] = [math.nan, *(lead(record, row, than) for row, than in pairwise_back(rows))]
    table["first"] = [math.nan, *(lead(record, row, rows[0]) for row in rows[1:])]
    top = best_row(record, "AP")
    table["best"] = (table.index == top) & (table["AP"] == table["AP"].drop(repeated(record), errors="ignore").max())
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
    """The row with the best shared mean; None where there is no such mean, or where no row has found anybody."""
    means = shared_means(record, metric).dropna()
    if means.empty or (METRICS[metric].better == "higher" and means.max() <= 0):
        return None
    return best(means, metric)


def minutes_frame(record: Record) -> Frame:
    """Minutes of training by run."""
    images = record.protocol.protocol.epoch_images
    lines = [
        {"row": row, "seed": seed, "trunk": trunk, "minutes": train_minutes(run.to_dict("records"), images)}
        for (row, seed, trunk), run in _by_run(record.curves)
    ]
    return pd.DataFrame(lines, columns=["row", "seed", "trunk", "minutes"])


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


# ---------------------------------------------------------------------------------------------------------- claims


def verdicts_frame(record: Record) -> Frame:
    """One line per claim of the study: verdict, reason, and what the end points beside AP say.

    One that was recorded as another claim is open again. Statements of several claims come first.
    """
    known = record.claims.set_index("claim").to_dict("index") if len(record.claims) else {}
    lines = []
    for claim in record.study.claims:
        found = known.get(claim.id, {})
        row, than = claim.sides
        compares = (found.get("row"), found.get("than"), found.get("metric")) == (row, than, claim.metric)
        if not found:
            verdict, reason = "open", "the record does not speak of it"
        elif not compares:
            verdict, reason = "open", f"not judged: the record does not compare {row!r} with {than!r}"
        elif not math.isclose(found.get("margin", math.nan), claim.margin):
            verdict, reason = "open", f"not judged: the record does not know the margin {claim.margin:g}"
        else:
            verdict, reason = found["verdict"], found["reason"]
        effect = _effect(found, claim.metric) if found and compares else ""
        line = {"claim": claim.id, "text": claim.text, "verdict": verdict, "effect": effect, "reason": reason}
        lines.append({**line, "beside": _beside(claim, found) if reason == found.get("reason") else ""})
    wholes = [
        {"claim": whole.id, "text": whole.text, "verdict": str(whole.verdict), "reason": whole.reason}
        for whole in statements(record.study.claims, [line["verdict"] for line in lines])
    ]
    lines = [*wholes, *lines, *_costs(record.study.costs, record.cost_claims)]
    return pd.DataFrame(lines, columns=VERDICT).fillna("")


def _beside(claim: Better, found: Mapping[str, Any]) -> str:
    """What a recorded claim says of each end point beside AP; nothing where the record is older than these."""
    return "; ".join(
        f"{name} {found[f'{name}_verdict']}{_mean(name, found)}"
        for name in claim.judged_beside
        if isinstance(found.get(f"{name}_verdict"), str)
    )


def _mean(name: str, found: Mapping[str, Any]) -> str:
    mean = float(found.get(f"{name}_mean", math.nan))
    return "" if math.isnan(mean) else f", {METRICS[name].difference(mean)}"


def _effect(found: Mapping[str, Any], metric: str = "") -> str:
    """The difference, or the ratio where no metric is named, with its interval; "" where none is recorded.

    Made from the numbers: a sentence of an older record may have another unit.
    """
    ends = [found.get(end, math.nan) for end in ("mean", "low", "high")]
    if any(map(math.isnan, ends)):
        return ""
    if not metric:
        return "{:.3f} times ({:.3f} to {:.3f})".format(*ends)
    unit = METRICS[metric].shown
    mean, low, high = map(METRICS[metric].difference, ends)
    return f"{mean} {metric if unit is PERCENT else unit.unit} ({low} to {high})"


def _costs(claims: Sequence[Cheaper], recorded: Frame) -> list[dict[str, str]]:
    """The same for claims of cost, which the study itself judges."""
    known = recorded.set_index("claim").to_dict("index") if len(recorded) else {}
    lines = []
    for claim in claims:
        found = known.get(claim.id)
        if found is None:
            found = {"verdict": "open", "reason": "not measured yet"}
        elif not _same_cost(claim, found):
            found = {"verdict": "open", "reason": "not judged: the record is of an earlier version of this claim"}
        lines.append(
            {"claim": claim.id, "text": claim.text, "verdict": found["verdict"], "effect": _effect(found)}
            | {"reason": found["reason"]}
        )
    return lines


def _same_cost(claim: Cheaper, found: Mapping[str, Any]) -> bool:
    """Whether the record judged this very claim. Older files hold its text alone."""
    if not {"row", "than"} <= set(found):
        return found["text"] == claim.text
    same = all(found.get(name) == getattr(claim, name) for name in ("row", "than", "metric"))
    return same and math.isclose(found.get("times", math.nan), claim.times)


def profile_verdicts(profile: TimingStudy) -> Frame:
    """One line per claim of a study that trains nothing."""
    return pd.DataFrame(_costs(profile.claims, read_csv(f"{profile.name}_cost_claims")), columns=VERDICT)


def forest_frame(record: Record) -> Frame:
    """The comparisons of what the study still compares, claims first; empty where none is recorded."""
    if record.pairs.empty:
        return record.pairs
    sides = {row.label for row in record.study.rows}.union(*(claim.sides for claim in record.study.claims))
    found = record.pairs[record.pairs["row"].isin(sides) & record.pairs["than"].isin(sides)].copy()
    found[["claim", "verdict"]] = found[["claim", "verdict"]].fillna("")
    # as on the whole page: a claim that was recorded otherwise is open there, whatever it was then
    state = verdicts_frame(record).set_index("claim")["verdict"].to_dict()
    found["verdict"] = [state.get(c, v) if c else "" for c, v in zip(found["claim"], found["verdict"], strict=True)]
    return found


# --------------------------------------------------------------------------------------------------------- quality


def best(means: Any, metric: str) -> str:
    """The row with the best mean of a metric."""
    return str(means.idxmax() if METRICS[metric].better == "higher" else means.idxmin())


# ----------------------------------------------------------------------------------------------------------- front


def front_frame(record: Record, cost: str) -> Frame:
    """Cost, AP and its intervals by row, and whether the row is on the Pareto front; rows without the numbers left out.

    A row that repeats another with other seeds is left out: it is the same network. Means are over shared spots.

    Args:
        cost: "gflops" of the trained network, or "latency": ms at published size, timed side by side.
    """
    costs = _front_costs(record, cost)
    if costs is None:
        return pd.DataFrame(columns=["cost", "AP", "front"])
    frame = pd.DataFrame({"AP": shared_means(record, "AP")}).join(costs.rename("cost"))
    ends = ["low", "high", "images_low", "images_high"]
    intervals = metric_frame(replace(record, rows=intervals_of_rows(record.runs, record.rows)), "AP")
    frame = frame.join(intervals.reindex(columns=ends)).dropna(subset=["cost", "AP"])
    frame = frame.loc[[label for label in labels(record) if label in frame.index]]
    frame["front"] = on_front(frame["cost"].tolist(), frame["AP"].tolist())
    return frame


def _front_costs(record: Record, cost: str) -> Any:
    """The cost by row; None where it is not recorded."""
    if cost == "latency":
        timed = cost_frame(record)
        return timed["latency_ms_p50"] if len(timed) else None
    return record.runs.groupby("row")[cost].mean() if cost in record.runs else None


def alike(record: Record) -> str:
    """What to say where all rows count the same: they run one network, and a front of them is drawn by chance.

    Empty where they do not.
    """
    counted = [set(record.runs[name]) for name in ("params", "gflops") if name in record.runs]
    if not counted or len(set(record.runs["row"])) < 2 or any(len(values) > 1 for values in counted):
        return ""
    return "every row has the same parameters and multiply-adds"


def on_front(cost: Sequence[float], quality: Sequence[float]) -> list[bool]:
    """Whether nothing else is at least as cheap and as good, and better in one of the two."""
    points = list(zip(cost, quality, strict=True))
    return [not any(c <= mc and q >= mq and (c, q) != (mc, mq) for c, q in points) for mc, mq in points]


def dominated_frame(front: Frame) -> Frame:
    """One line per row: on the front, or the row that dominates it: no dearer, no worse, better in one of the two."""
    lines = []
    for label, line in front.sort_values("cost").iterrows():
        better = front[(front["cost"] <= line["cost"]) & (front["AP"] >= line["AP"])].drop(index=label)
        by = "" if line["front"] or better.empty else str(better["AP"].idxmax())
        lines.append(
            {"row": label, "cost": line["cost"], "AP": line["AP"], "front": bool(line["front"]), "dominated by": by}
        )
    return pd.DataFrame(lines)


# ---------------------------------------------------------------------------------------------------------- curves


def bands_frame(record: Record) -> Frame:
    """AP by row, trunk and epoch: mean, lowest and highest of the seeds; `images` seen, in thousands, where known."""
    grouped = record.curves.groupby(["trunk", "row", "epoch"], sort=False)["AP"]
    bands = grouped.agg(["mean", "min", "max", "count"]).reset_index()
    bands["images"] = bands["epoch"] * record.protocol.protocol.epoch_images / 1000
    return bands


def losses_frame(record: Record) -> Frame:
    """Training losses by term, row and epoch: the mean over runs; empty where none is recorded."""
    terms = [name for name in record.curves if name.startswith("loss_")]
    if not terms:
        return pd.DataFrame(columns=["term", "row", "epoch", "value"])
    means = record.curves.groupby(["row", "epoch"], sort=False)[terms].mean().reset_index()
    long = means.melt(id_vars=["row", "epoch"], var_name="term", value_name="value").dropna(subset=["value"])
    return long.assign(term=long["term"].str.removeprefix("loss_"))


def kinds_frame(record: Record) -> Frame:
    """Rows x kinds of error: shares of the labelled key points of matched persons; empty where not recorded."""
    if record.points.empty:
        return record.points
    counts = record.points.groupby("row")[list(ERROR_KINDS)].sum()
    counts = counts.loc[[row for row in labels(record) if row in counts.index]]
    return counts.div(counts.sum(axis="columns"), axis="index").dropna()


def gains_frame(record: Record) -> Frame:
    """AP gained over the last quarter of training, by run: how far from flat each curve ends."""
    lines = [
        {"row": row, "trunk": trunk, "seed": seed, "gain": last_gain(run.to_dict("records"))}
        for (row, trunk, seed), run in record.curves.groupby(["row", "trunk", "seed"], sort=False)
    ]
    return pd.DataFrame(lines, columns=["row", "trunk", "seed", "gain"]).dropna(subset=["gain"])


def flat(gains: Frame) -> int:
    """How many curves end flat."""
    return int((gains["gain"].abs() < FLAT).sum())


def seed_counts(record: Record) -> list[tuple[Mapping[str, Any], str]]:
    """Each row that repeats another with other seeds (A/A): its difference, and the verdict of a claim of it.

    The claim is that it is better. Any other verdict than open is wrong: one time in twenty without Holm's correction.
    """
    again = [row.label for row in record.study.rows if row.seed_offset]
    pairs = forest_frame(record)
    found = []
    for label in again if len(pairs) else ():
        mine = pairs[(pairs["row"] == label) & (pairs["claim"] == "") & (pairs["metric"] == "AP")]
        for whole in mine[mine["trunk"] == ""].to_dict("records"):
            found.append((whole, _verdict_of(whole, mine.loc[mine["trunk"] != "", "mean"].tolist())))
    return found


def _verdict_of(whole: Mapping[str, Any], trunks: Sequence[float]) -> str:
    """As a claim without a margin is decided: not by one seed or trunk, and not where the trunks disagree."""
    split = min(trunks, default=0.0) < 0 < max(trunks, default=0.0)
    if whole["count"] < 2 or split or whole["low"] <= 0 <= whole["high"]:
        return "open"
    return "holds" if whole["low"] > 0 else "fails"


# ---------------------------------------------------------------------------------------------------------- slices


def slices_mean(record: Record, by: str) -> Frame:
    """AP by slice and row, over seeds and trunks; columns in the order of the slices."""
    if record.slices.empty:
        return record.slices
    mine = record.slices[(record.slices["by"] == by) & (record.slices["AP"] > -1)]
    order = list(dict.fromkeys(mine["slice"]))
    rows = [label for label in labels(record) if label in set(mine["row"])]
    return mine.pivot_table(index="row", columns="slice", values="AP").reindex(index=rows, columns=order)


# ------------------------------------------------------------------------------------------------- cost and persons

WAYS = {
    "kept": "RTMO: kept persons only",
    "every cell": "RTMO: every cell decoded",
    "crops": "crops: backbone alone on 256 x 192 px each, no detector",
}


def cost_frame(record: Record) -> Frame:
    """What the rows cost, timed side by side, in the order of the study; empty where that is not recorded."""
    if record.cost.empty:
        return record.cost
    rows = [row.label for row in record.study.rows if row.label in set(record.cost["row"])]
    return record.cost.set_index("row").loc[rows]


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
