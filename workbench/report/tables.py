"""What a page says, as numbers and sentences: tables, fronts, bands, noise, and the finding of each figure.

`*_frame` gives numbers, `*_finding` the sentence that a figure has as its title. Nothing is drawn here. Quality is in
0..1 as recorded; who shows it makes percent of it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from workbench.core.errors import Refused
from workbench.evaluation.metrics import METRICS, Place, metrics_at
from workbench.experiments.claims import statements
from workbench.experiments.profiling import REPORT_DATA
from workbench.report.frames import Frame
from workbench.report.record import Record, read_csv
from workbench.study import Better, Cheaper, TimingStudy
from workbench.training.record import FLAT, last_gain

VERDICT = ["claim", "text", "verdict", "reason", "beside"]
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


def table_frame(record: Record) -> Frame:
    """One line per row: published value, AP with its interval, runs and seeds, other means, cost, AP per trunk."""
    runs, rows = record.runs, labels(record)
    grouped = runs.groupby("row")
    cited = {row.label: row.cited for row in record.study.rows if row.cited}
    table = pd.DataFrame(index=pd.Index(rows, name="row"))
    table["published"] = [f"{cited[r].value:g} ({cited[r].source})" if r in cited else "not available" for r in rows]
    table["AP"] = grouped["AP"].mean()
    interval = metric_frame(record, "AP")
    for end in ("low", "high"):
        table[end] = interval.get(end, math.nan)
    table["runs"], table["seeds"] = grouped.size(), grouped["seed"].nunique()
    for name in (metric.name for metric in metrics_at(Place.REPORT) if metric.name != "AP"):
        # the evaluation gives -1 where no person is of that size
        if name in runs and (runs[name] >= 0).any():
            table[name] = grouped[name].mean()
    if "latency_ratio" in runs:
        table["latency"] = latency_of(runs)
    for trunk in sorted(set(runs["trunk"]) - {""}):
        table[f"AP on {trunk}"] = runs[runs["trunk"] == trunk].groupby("row")["AP"].mean()
    return table


def metric_frame(record: Record, metric: str) -> Frame:
    """Mean and interval of a metric by row; without columns where the record has no intervals."""
    if record.rows.empty:
        return pd.DataFrame(index=pd.Index([], name="row"))
    return record.rows[record.rows["metric"] == metric].set_index("row")


def interval_of(runs: Frame, rows: Frame) -> str:
    """Of what the intervals of rows speak."""
    unit = "trunks" if (runs["trunk"] != "").any() else "seeds"
    if "seeds_low" in rows and rows["seeds_low"].notna().any():
        return f"other images, other {unit}, or both, whichever is widest"
    return "other images alone: one seed says nothing of others"


def latency_of(runs: Frame) -> Any:
    """Milliseconds by row: the median ratio to the reference network of the same rounds, times its median time.

    Runs are timed hours apart on a machine that is not always as busy; the ratio does not see that.
    """
    reference = (runs["latency_ms_p50"] / runs["latency_ratio"]).median()
    return runs.groupby("row")["latency_ratio"].median() * reference


# ---------------------------------------------------------------------------------------------------------- claims


def verdicts_frame(record: Record) -> Frame:
    """One line per claim of the study: verdict, reason, and what the end points beside AP say.

    One that was recorded as another claim is open again. Statements of several claims come first.
    """
    known = record.claims.set_index("claim").to_dict("index") if len(record.claims) else {}
    lines = []
    for claim in record.study.claims:
        found = known.get(claim.id, {})
        compares = all(found.get(name) == getattr(claim, name) for name in ("row", "than", "metric"))
        if not found:
            verdict, reason = "open", "the record does not speak of it"
        elif not compares:
            verdict, reason = "open", f"not judged: the record does not compare {claim.row!r} with {claim.than!r}"
        elif not math.isclose(found.get("margin", math.nan), claim.margin):
            verdict, reason = "open", f"not judged: the record does not know the margin {claim.margin:g}"
        else:
            verdict, reason = found["verdict"], found["reason"]
        line = {"claim": claim.id, "text": claim.text, "verdict": verdict, "reason": reason}
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
        lines.append({"claim": claim.id, "text": claim.text, "verdict": found["verdict"], "reason": found["reason"]})
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
    """The comparisons of two rows that are both in the study, claims first; empty where none is recorded."""
    if record.pairs.empty:
        return record.pairs
    rows = {row.label for row in record.study.rows}
    found = record.pairs[record.pairs["row"].isin(rows) & record.pairs["than"].isin(rows)].copy()
    found[["claim", "verdict"]] = found[["claim", "verdict"]].fillna("")
    return found


# --------------------------------------------------------------------------------------------------------- quality


def best(means: Any, metric: str) -> str:
    """The row with the best mean of a metric."""
    return str(means.idxmax() if METRICS[metric].better == "higher" else means.idxmin())


# ----------------------------------------------------------------------------------------------------------- front


def front_frame(record: Record, cost: str) -> Frame:
    """Cost, AP and its intervals by row, and whether the row is on the Pareto front; rows without the numbers left out.

    A row that repeats another with other seeds is left out: it is the same network.
    """
    table = table_frame(record)
    if cost not in table:
        return pd.DataFrame(columns=["cost", "AP", "front"])
    again = [row.label for row in record.study.rows if row.seed_offset]
    ends = ["low", "high", "images_low", "images_high"]
    frame = table[[cost, "AP"]].join(metric_frame(record, "AP").reindex(columns=ends))
    frame = frame.drop(index=again, errors="ignore").dropna(subset=[cost, "AP"]).rename(columns={cost: "cost"})
    frame["front"] = on_front(frame["cost"].tolist(), frame["AP"].tolist())
    return frame


def alike(record: Record) -> str:
    """What to say where all rows count the same: they run one network, and a front of them is drawn by chance.

    Empty where they do not.
    """
    counted = [set(record.runs[name]) for name in ("params", "gflops") if name in record.runs]
    if not counted or len(set(record.runs["row"])) < 2 or any(len(values) > 1 for values in counted):
        return ""
    same = "every row has the same parameters and multiply-adds"
    if "latency_ratio" not in record.runs:
        return same
    times = latency_of(record.runs)
    return f"{same}; their latencies, {times.min():.1f} to {times.max():.1f} ms, differ by chance"


def on_front(cost: Sequence[float], quality: Sequence[float]) -> list[bool]:
    """Whether nothing else is at least as cheap and as good, and better in one of the two."""
    points = list(zip(cost, quality, strict=True))
    return [not any(c <= mc and q >= mq and (c, q) != (mc, mq) for c, q in points) for mc, mq in points]


def dominated_frame(front: Frame) -> Frame:
    """One line per row: on the front, or which row is no dearer and no worse, by how much."""
    lines = []
    for label, line in front.sort_values("cost").iterrows():
        better = front[(front["cost"] <= line["cost"]) & (front["AP"] >= line["AP"])].drop(index=label)
        by = "" if line["front"] or better.empty else str(better["AP"].idxmax())
        lines.append(
            {"row": label, "cost": line["cost"], "AP": line["AP"], "front": bool(line["front"]), "beaten by": by}
        )
    return pd.DataFrame(lines)


# ---------------------------------------------------------------------------------------------------------- curves


def bands_frame(record: Record) -> Frame:
    """AP by row, trunk and epoch: mean, lowest and highest of the seeds; `images` seen, in thousands, where known."""
    grouped = record.curves.groupby(["trunk", "row", "epoch"], sort=False)["AP"]
    bands = grouped.agg(["mean", "min", "max", "count"]).reset_index()
    bands["images"] = bands["epoch"] * record.protocol.protocol.epoch_images / 1000
    return bands


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


# ---------------------------------------------------------------------------------------------------------- slices


def _verdict_of(whole: Mapping[str, Any], trunks: Sequence[float]) -> str:
    """As a claim without a margin is decided: not by one seed or trunk, and not where the trunks disagree."""
    split = min(trunks, default=0.0) < 0 < max(trunks, default=0.0)
    if whole["count"] < 2 or split or whole["low"] <= 0 <= whole["high"]:
        return "open"
    return "holds" if whole["low"] > 0 else "fails"


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
