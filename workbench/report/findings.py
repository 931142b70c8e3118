"""Sentences about the numbers of a record: the titles of figures and what stands below them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from workbench.evaluation.metrics import METRICS
from workbench.report.frames import Frame
from workbench.report.record import Record, base_row
from workbench.report.tables import STATES, WAYS, best, flat


def claims_finding(verdicts: Frame) -> str:
    """Which claims hold, fail and stay open."""
    if verdicts.empty:
        return "The study makes no claim."
    by_state = {state: [str(c) for c in verdicts[verdicts["verdict"] == state]["claim"]] for state in STATES}
    return "; ".join(f"{state}: {listed(names)}" for state, names in by_state.items() if names)


def forest_finding(forest: Frame) -> str:
    """Which claims are decided, or how wide the intervals are that leave them open."""
    claims = forest[(forest["claim"] != "") & (forest["trunk"] == "")]
    if claims.empty:
        others = forest[(forest["claim"] == "") & (forest["trunk"] == "")]
        clear = others[(others["low"] > 0) | (others["high"] < 0)]
        base = listed(sorted(set(others["than"])))
        return f"{len(clear)} of {len(others)} intervals of rows − {base} leave out 0, not corrected"
    if (claims["verdict"] == "open").all():
        return f"No claim is decided: {listed([str(c) for c in claims['claim']])} stay open"
    each = {
        state: [f"{c['claim']} ({signed(c['mean'], c['metric'])})" for _, c in mine.iterrows()]
        for state in STATES
        if len(mine := claims[claims["verdict"] == state])
    }
    return "; ".join(f"{state}: {listed(names)}" for state, names in each.items())


def quality_finding(record: Record) -> str:
    """Which row has the highest AP, and whether chance explains that; which one the smallest error by the means.

    A row that only repeats another is no candidate.
    """
    again = {row.label for row in record.study.rows if row.seed_offset}
    means = record.runs[~record.runs["row"].isin(again)].groupby("row")[["AP", "NME"]].mean()
    order = [str(label) for label in means["AP"].sort_values(ascending=False).index]
    top, (means_only, above) = order[0], _above(record, order)
    text = f"{top}: highest AP{means_only}, {METRICS['AP'].text(means['AP'][top])} %{above}"
    if means["NME"].isna().all():
        return f"{text}; no row has matched a person"
    error = best(means["NME"], "NME")
    smallest = f"smallest error by the means, {METRICS['NME'].text(means['NME'][error])}"
    return f"{text}; {'and ' if top == error else f'{error}: '}{smallest}"


def _above(record: Record, order: Sequence[str]) -> tuple[str, str]:
    """What is known of the best row's lead, in words before and after its AP.

    Over the next one, else over the one that all are compared with.
    """
    top, base = order[0], base_row(record.study).label
    for other in [*order[1:2], *[base] * (base != top)]:
        low = _lead(record, top, other)
        if low is not None and low > 0:
            return "" if other == order[1] else " by the means", f", above {other} by more than chance explains"
        if low is not None:
            return " by the means", f", not above {other} by more than chance explains"
    return " by the means", ""


def _lead(record: Record, row: str, than: str) -> float | None:
    """The lower end of the recorded interval of the difference in AP; None where there is none."""
    if record.pairs.empty:
        return None
    mine = record.pairs[(record.pairs["metric"] == "AP") & (record.pairs["trunk"] == "")]
    there = mine[(mine["row"] == row) & (mine["than"] == than)]
    turned = mine[(mine["row"] == than) & (mine["than"] == row)]
    ends = [*there["low"].tolist(), *(-turned["high"]).tolist()]
    return ends[0] if ends else None


def cost_text(record: Record, cost: str) -> str:
    """A cost as an axis or a column names it."""
    if cost == "gflops":
        return "10⁹ multiply-adds of one image"
    height, width = record.jobs[0].job.protocol.size
    return latency_text(record.runs.assign(size=f"{height} x {width}"))


def latency_text(timed: Frame) -> str:
    """Latency with its conditions, from the columns size, threads and machine."""
    size, threads, machine = (values(timed, name) for name in ("size", "threads", "machine"))
    return f"latency of one image, ms ({size} px, {threads} thread{'s' * (threads != '1')}, {machine})"


def front_finding(front: Frame, cost: str) -> str:
    """Who is on the front, from cheap to good."""
    mine = front[front["front"]].sort_values("cost")
    names = listed([str(name) for name in mine.index])
    what = {"latency": "latency", "gflops": "FLOPs", "params": "parameters"}[cost]
    if len(mine) == 1:
        return f"{what}: {names} is by the means the cheapest and the best"
    return f"{what}: by the means {len(mine)} of {len(front)} rows on the front, {mine.index[0]} to {mine.index[-1]}"


def curves_finding(gains: Frame) -> str:
    """How many curves have stopped rising, and which row still rises most."""
    if gains.empty:
        return "Too few evaluations to tell whether the curves are flat"
    still = gains.groupby("row")["gain"].mean()
    text = f"{flat(gains)} of {len(gains)} curves are flat at the end"
    if flat(gains) == len(gains):
        return text
    return f"{text}; {still.idxmax()} still rises most, by {METRICS['AP'].text(still.max())} AP in the last quarter"


def slices_finding(means: Frame, by: str) -> str:
    """What the last slice costs against the first, and the row that it costs least."""
    gaps = means.iloc[:, -1] - means.iloc[:, 0]
    high, low = str(gaps.idxmax()), str(gaps.idxmin())
    what = {"size": "images whose median person is large", "crowding": "the most crowded images"}[by]
    against = {"size": "those where it is small", "crowding": "those without overlap"}[by]
    if high == low:
        return f"{high}: {signed(gaps[high], 'AP')} on {what} against {against}"
    return f"On {what} against {against}: {signed(gaps[low], 'AP')} ({low}) to {signed(gaps[high], 'AP')} ({high})"


def persons_finding(persons: Frame) -> str:
    """What the persons cost RTMO, and from how many on crops cost more."""
    kept, crops = (persons[persons["method"] == WAYS[way]].set_index("persons")["p50"] for way in ("kept", "crops"))
    fewest, most = kept.index.min(), kept.index.max()
    none = f"{fewest:g}" if fewest else "none"
    text = f"RTMO: {kept[most]:.0f} ms with {most:g} persons, {kept[fewest]:.0f} with {none}"
    return text + (f"; {_crossing((crops - kept).dropna())}" if len(crops) else "")


def _crossing(dearer: Any) -> str:
    """From how many persons on crops take longer: `dearer` is by how many milliseconds, by persons."""
    cheaper = dearer[dearer <= 0].index
    if cheaper.empty:
        return "one crop each always costs more"
    last, more = cheaper.max(), dearer.index[dearer.index > cheaper.max()]
    if more.empty:
        return f"one crop each costs less up to {last:g}"
    share = -dearer[last] / (dearer[more.min()] - dearer[last])  # on the line between the two
    return f"one crop each costs more from about {last + share * (more.min() - last):.0f} on"


# ----------------------------------------------------------------------------------------------------------- words


def listed(names: Sequence[str]) -> str:
    """a, b and c; with semicolons where names hold commas."""
    between = "; " if any("," in name for name in names) else ", "
    return names[0] if len(names) == 1 else f"{between.join(names[:-1])} and {names[-1]}" if names else "none"


def values(runs: Frame, name: str) -> str:
    """What stands in a column, each once."""
    return ", ".join(str(v) for v in sorted(set(runs[name]))) if name in runs else "unknown"


def signed(value: float, metric: str) -> str:
    """A difference as it is shown: in points where the metric is in percent."""
    return f"{METRICS[metric].difference(value)} {metric}"
