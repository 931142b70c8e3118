"""Sentences about the numbers of a record: the titles of figures and what stands below them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from workbench.evaluation.metrics import METRICS
from workbench.evaluation.verdicts import VERBS, Verdict
from workbench.report.curves import flat
from workbench.report.frames import Frame
from workbench.report.persons import WAYS
from workbench.report.pieces import sentence
from workbench.report.precision import CURVE_RECALLS
from workbench.report.record import Record, base_row
from workbench.report.rows import best_row, none_above_zero, shared_means, uneven
from workbench.report.verdict_frames import STATES, TIMING, TRAINING
from workbench.training.record import FLAT

NAMED = 6  # claims at most that a title names one by one


def concluded(verdicts: Frame, trained_on: str = "") -> str:
    """A paragraph: what holds, what fails, what is open, and how surely. A statement counts once, its parts do not.

    Args:
        verdicts: as of `verdicts_frame`. trained_on: over what chance training decided, as "2 seeds of each row".
    """
    whole = verdicts[verdicts["part_of"] == ""]
    if whole.empty:
        return "The study makes no claim" + f"; its numbers come from {trained_on}." * bool(trained_on)
    over = {TRAINING: trained_on, TIMING: "one measurement, all rows in the same rounds"}
    by = {kind: whole[whole["decided_by"] == kind] for kind in over}
    counted = [f"{_count(mine)}, from {over[kind]}" for kind, mine in by.items() if len(mine)]
    said = [_group(whole[whole["verdict"] == state], words) for state, words in _SAID.items()]
    return " ".join(filter(None, [*map(sentence, counted), _surely(whole), *said]))


def _count(claims: Frame) -> str:
    """How many of them are decided."""
    decided = int((claims["verdict"] != "open").sum())
    said = f"{decided} of {len(claims)} claims {'is' if decided == 1 else 'are'} decided"
    return said if claims["decided_by"].iloc[0] == TRAINING else f"{said} by timing and counting"


def _surely(claims: Frame) -> str:
    """What verdicts are worth, where there are any and several were asked for."""
    asked = claims["decided_by"].value_counts()
    decided = claims.loc[claims["verdict"] != "open", "decided_by"]
    if not any(asked[kind] > 1 for kind in set(decided)):
        return ""
    return (
        "Claims that are decided in the same way are corrected for each other, to a chance of 5 % that any of their "
        "verdicts is wrong."
    )


_SAID = {"holds": "**Holds:**", "fails": "**Fails:**", "open": "**Open:**"}


def _group(claims: Frame, words: str) -> str:
    each = [_told(c) for c in claims.to_dict("records")]
    return f"{words} {'; '.join(each)}." if each else ""


def _told(claim: Mapping[str, Any]) -> str:
    """A claim with its number; of one that was not judged, why."""
    numbers = claim["effect"] or str(claim["reason"]).partition(";")[0]
    return f"{claim['text']} ({claim['claim']}), {numbers}"


def forest_finding(forest: Frame) -> str:
    """Which claims are decided, or how wide the intervals are that leave them open."""
    claims = forest[(forest["claim"] != "") & (forest["trunk"] == "")]
    if claims.empty:
        others = forest[(forest["claim"] == "") & (forest["trunk"] == "")]
        clear = others[(others["low"] > 0) | (others["high"] < 0)]
        base = listed(sorted(set(others["than"])))
        return f"{len(clear)} of {len(others)} intervals of rows − {base} leave out 0, not corrected"
    if (claims["verdict"] == "open").all():
        stay = "stays" if len(claims) == 1 else "stay"
        return f"No difference decides its claim: {listed([str(c) for c in claims['claim']])} {stay} open"
    if len(claims) > NAMED:
        counts = {state: int((claims["verdict"] == state).sum()) for state in STATES}
        told = [f"{count} {VERBS[Verdict(state)][count > 1]}" for state, count in counts.items() if count]
        return f"Of {len(claims)} claims {listed(told)}"
    each = {
        state: [f"{c['claim']} ({signed(c['mean'], c['metric'])})" for _, c in mine.iterrows()]
        for state in STATES
        if len(mine := claims[claims["verdict"] == state])
    }
    return "; ".join(f"{state}: {listed(names)}" for state, names in each.items())


def quality_finding(record: Record) -> str:
    """Which row has the highest AP, and whether chance explains that; which one the smallest error by the means.

    The best row is that of the check-mark table (`best_row`).
    """
    means = shared_means(record, "AP").dropna().sort_values(ascending=False)
    if means.empty:
        return "Rows have no seed in common, so none is called the best"
    if none_above_zero(record):
        if record.runs["NME"].isna().all():  # the error of matched persons, whatever AP is shown as
            return f"No row has matched a person: AP is {METRICS['AP'].text(0.0)} everywhere"
        return f"AP rounds to {METRICS['AP'].text(0.0)} % in every row, so none is called the best"
    error, top = best_row(record, "NME"), best_row(record, "AP")
    parts = [_highest(record, means) if top else "Which row has the highest AP depends on the seeds that are counted"]
    if error is not None:
        smallest = f"smallest error by the means, {METRICS['NME'].text(shared_means(record, 'NME')[error])}"
        parts.append(f"{'and ' if top == error else f'{error}: '}{smallest}")
    return "; ".join(parts)


def _highest(record: Record, means: Any) -> str:
    """The row with the highest AP. `means`: of all candidates, highest first."""
    order = [str(label) for label in means.index]
    means_only, above = _above(record, order)
    over = " over the seeds that all rows have" * uneven(record)
    return f"{order[0]}: highest AP{means_only}{over}, {METRICS['AP'].text(means.iloc[0])} %{above}"


def _above(record: Record, order: Sequence[str]) -> tuple[str, str]:
    """What is known of the best row's lead, in words before and after its AP.

    Over the next one, else over the one that all are compared with.
    """
    top, base = order[0], base_row(record.study).label
    for other in [*order[1:2], *[base] * (base != top)]:
        low = _lead(record, top, other)
        if low is not None and low > 0:
            surely = f", above {other} by more than chance explains{_still_open(record, top, other)}"
            return "" if other == order[1] else " by the means", surely
        if low is not None:
            return " by the means", f", not above {other} by more than chance explains"
    return " by the means", ""


def _lead(record: Record, row: str, than: str) -> float | None:
    """The lower end of the recorded interval of the difference in AP; None where there is none.

    One of a single pair of runs knows nothing of the chance in others: it counts as none.
    """
    there, turned = (
        [line for line in _compared(record, *rows) if line["count"] > 1] for rows in ((row, than), (than, row))
    )
    ends = [*(line["low"] for line in there), *(-line["high"] for line in turned)]
    return ends[0] if ends else None


def _compared(record: Record, row: str, than: str) -> list[dict[str, Any]]:
    """The recorded comparisons of two rows in AP, over all trunks."""
    if record.pairs.empty:
        return []
    mine = record.pairs[(record.pairs["metric"] == "AP") & (record.pairs["trunk"] == "")]
    return mine[(mine["row"] == row) & (mine["than"] == than)].to_dict("records")


def _still_open(record: Record, row: str, than: str) -> str:
    """That claims on this very difference are open all the same: corrected for others, or asked of other networks."""
    lines = [*_compared(record, row, than), *_compared(record, than, row)]
    names = [str(one["claim"]) for one in lines if one["verdict"] == "open" and not one["margin"]]
    return f"; {listed(names)} {'is' if len(names) == 1 else 'are'} open all the same" * bool(names)


def cost_text(record: Record, cost: str) -> str:
    """A cost as an axis or a column names it."""
    if cost == "gflops":
        return "10⁹ multiply-adds of one image"
    first = record.cost["row"].iloc[0]
    return f"latency of one image, times that of {first} ({_timed_on(record.cost)})"


def latency_text(timed: Frame) -> str:
    """Latency with its conditions, from the columns size, threads and machine."""
    return f"latency of one image, ms ({_timed_on(timed)})"


def _timed_on(timed: Frame) -> str:
    size, threads, machine = (values(timed, name) for name in ("size", "threads", "machine"))
    return f"{size} px, {threads} thread{'s' * (threads != '1')}, {machine}"


def front_finding(front: Frame, cost: str) -> str:
    """Who is on the front, from cheap to good."""
    mine = front[front["front"]].sort_values("cost")
    what = {"latency": "latency", "gflops": "FLOPs"}[cost]
    if len(mine) == 1:
        return f"{what}: by the means {mine.index[0]} alone is on the front"
    ends = f"from “{mine.index[0]}” to “{mine.index[-1]}”"
    return f"{what}: by the means {len(mine)} of {len(front)} rows on the front, {ends}"


def curves_finding(gains: Frame) -> str:
    """How many curves have stopped rising, and which row still rises most."""
    if gains.empty:
        return "Too few evaluations to tell whether the curves are flat"
    still = gains.groupby("row")["gain"].mean()
    text = f"{flat(gains)} of {len(gains)} curves are flat at the end"
    if flat(gains) == len(gains):
        return text
    if still.max() >= FLAT:
        return f"{text}; {still.idxmax()} still rises most, by {METRICS['AP'].text(still.max())} AP in the last quarter"
    if still.min() <= -FLAT:
        return f"{text}; {still.idxmin()} falls most, by {METRICS['AP'].text(-still.min())} AP in the last quarter"
    return f"{text}; by the mean of its runs no row moves"


def losses_finding(losses: Frame) -> str:
    """Which losses end above where they began, and in how many rows."""
    ends = losses.sort_values("epoch").groupby(["term", "row"])["value"].agg(["first", "last"])
    risen = ends[ends["last"] > ends["first"]]
    if risen.empty:
        return "No training loss, as it is weighted, ends above its first reading"
    each = [f"{term} in {len(rows)} of {len(ends.loc[term])} rows" for term, rows in risen.groupby("term")]
    return f"Losses, as they are weighted, that end above their first reading: {listed(each)}"


def precision_finding(frame: Frame) -> str:
    """How far recall reaches at the loosest threshold, and who finds nobody."""
    loosest = frame[frame["threshold"] == frame["threshold"].min()]
    found = loosest[loosest["precision"] > 0].groupby("row", sort=False)["recall"].max()
    at, nobody = f"At OKS {loosest['threshold'].iloc[0]:.2f}", sorted(set(loosest["row"]) - set(found.index))
    if found.empty:
        return f"{at} no row finds a person"
    low, high = str(found.idxmin()), str(found.idxmax())
    ends = f"{_reached(found[low])} of the persons"
    if found[low] != found[high]:
        ends += f" ({low}) to {_reached(found[high])} ({high})"
    elif len(found) > 1:
        ends += " in every row that finds any" if nobody else " in every row"
    else:
        ends += f" ({low})"
    return f"{at} recall ends at {ends}" + f"; {listed(nobody)} {_finds(nobody)} nobody" * bool(nobody)


def _reached(recall: float) -> str:
    """A recall of the grid, whose first step is above nothing: 0 is a little."""
    return f"{100 * recall:.0f} %" if recall else f"less than {100 * CURVE_RECALLS[1]:.0f} %"


def _finds(rows: Sequence[str]) -> str:
    return "finds" if len(rows) == 1 else "find"


def points_finding(frame: Frame) -> str:
    """The key point with the largest and the one with the smallest error, over rows."""
    means = frame.groupby("keypoint", sort=False)["error"].mean().dropna()
    if means.empty:
        return "No row matches a person with a labelled key point"
    far, near = str(means.idxmax()), str(means.idxmin())
    largest, smallest = (f"{name}, {METRICS['NME'].text(means[name])}" for name in (far, near))
    return f"By the means of the rows the error is largest for {largest} of the root of the area, least for {smallest}"


def kinds_finding(shares: Frame) -> str:
    """The commonest kind of error in each row, from fewest to most good key points. `shares`: rows x kinds, 0..1."""
    wrong = shares.drop(columns="good")
    low, high = str(shares["good"].idxmin()), str(shares["good"].idxmax())
    good = f"{100 * shares['good'][low]:.0f} % ({low})"
    if low != high:
        good += f" to {100 * shares['good'][high]:.0f} % ({high})"
    kinds = sorted(set(wrong[wrong.max(axis="columns") > 0].idxmax(axis="columns")))
    common = f"the commonest error is {' or '.join(kinds)}" if kinds else "no row has another"
    return f"Good key points of matched persons: {good}; {common}"


def slices_finding(means: Frame, by: str) -> str:
    """What the last slice costs against the first, and the row that it costs least."""
    gaps = means.iloc[:, -1] - means.iloc[:, 0]
    high, low = str(gaps.idxmax()), str(gaps.idxmin())
    what = {"size": "images whose median person is large", "crowding": "the most crowded images"}[by]
    against = {"size": "those where it is small", "crowding": "those without overlap"}[by]
    if high == low:
        return f"{high}: {signed(gaps[high], 'AP')} on {what} against {against}"
    return f"on {what} against {against}: {signed(gaps[low], 'AP')} ({low}) to {signed(gaps[high], 'AP')} ({high})"


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
        return f"one crop each costs more with {dearer.index.min():g} and above"
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
