"""Sentences about a search: its conclusion, the titles of its figures, and what to mind."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

from workbench.experiments.search.longer import same_order
from workbench.report.findings import listed
from workbench.report.frames import Frame
from workbench.report.search_frames import (
    Fall,
    SearchRecord,
    compute_frame,
    fall_of,
    fresh_frame,
    growth_shares,
    predictions_frame,
    varying,
)

WANTED = 0.8  # share of predictions that have to hold, or the page begins with it


def count_of(number: int, one: str, many: str = "") -> str:
    """1 network, 2 networks."""
    return f"{number} {one if number == 1 else many or one + 's'}"


def estimate_text(record: SearchRecord, line: Any) -> str:
    """An estimate with its interval: 41.2 (39.0 to 43.4) AP."""
    low, mean, high = (record.metric.text(line[name]) for name in ("low", "estimate", "high"))
    return f"{mean} ({low} to {high}) {record.metric.name}"


def conclusion(record: SearchRecord) -> str:
    """A paragraph: what the front is, with intervals, and how sure that is."""
    front = record.on_front
    who = [_on_front(record, line, i in (0, len(front) - 1)) for i, (_, line) in enumerate(front.iterrows())]
    many = len(record.front)
    said = f"Of {count_of(many, 'network')} that were trained {len(front)} {'is' if len(front) == 1 else 'are'} on the "
    limits = ", ".join(f"{name} at most {most:g}" for name, most in record.limits.items())
    said += f"front by their estimates, cheapest first: {'; '.join(who)}. "
    said += f"The last of them is the best within the limits ({limits}). " if limits else ""
    return " ".join(filter(None, [uncovered(record), said + how_sure(record)]))


def _on_front(record: SearchRecord, line: Any, whole: bool) -> str:
    text = f" ({line['text']})" if whole else ""
    return f"{line['candidate']}{text} {estimate_text(record, line)} at {record.cost_text(line['cost'])}"


def uncovered(record: SearchRecord) -> str:
    """What stands on top of the page where predictions did not hold; "" where they did."""
    frame = predictions_frame(record)
    if frame.empty or frame["inside"].mean() >= WANTED:
        return ""
    return (
        f"**Mind that the search's intervals are too narrow here: {frame['inside'].sum()} of "
        f"{count_of(len(frame), 'first training')} came out inside the 95 % interval of what was predicted.**"
    )


def how_sure(record: SearchRecord) -> str:
    """Chances, seeds, and what would decide it."""
    front = record.on_front
    chances, seeds = front["chance"], front["seeds"]
    apart = [bool(a["high"] < b["low"]) for (_, a), (_, b) in pairwise(front.iterrows())]
    said = f"Each has a chance of {_span(chances, 2)} to be on the true front of what was trained"
    said += f", by {_span(seeds, 0)} trainings each" if seeds.max() > 1 else ", by one training each"
    if apart:
        said += f"; the intervals of {sum(apart)} of {count_of(len(apart), 'pair')} of neighbours lie apart"
    return said + ". These are estimates and no verdicts: the study of the front, see below, gives those."


def _span(values: Any, digits: int) -> str:
    low, high = f"{values.min():.{digits}f}", f"{values.max():.{digits}f}"
    return low if low == high else f"{low} to {high}"


def looked_at(record: SearchRecord) -> str:
    """How many candidates there are and what became of them, and the compute."""
    summary, states = record.summary, record.candidates["state"].value_counts()
    limits = ", ".join(f"{name} at most {most:g}" for name, most in record.limits.items()) or "no limits"
    counts = ", ".join(f"{number} {state}" for state, number in states.items())
    return (
        f"The space has {count_of(int(summary['candidates']), 'network')}: {int(summary['admitted'])} may be trained, "
        f"{int(summary['over'])} are over a limit ({limits}), {int(summary['impossible'])} impossible. "
        f"{count_of(len(record.candidates), 'candidate')} looked at: {counts}. Sampler `{summary['sampler']}`; "
        f"{record.candidates['minutes'].sum():.0f} minutes of training on one core, of a budget of "
        f"{float(summary['budget']):g}. {summary['machine']}; threads {summary['threads']}; {summary['precision']}."
    )


def front_title(record: SearchRecord) -> str:
    """Who is on the front."""
    front = record.on_front
    first, last = front.iloc[0], front.iloc[-1]
    said = f"{len(front)} of {count_of(len(record.front), 'network')} that were trained on the front by their estimates"
    if len(front) == 1:
        return f"{said}: {first['candidate']}"
    return f"{said}, from {first['candidate']} to {last['candidate']}"


def published_text(record: SearchRecord) -> str:
    """How many of the published networks are on the front, and of which kind the costs are."""
    frame = record.published
    known = frame[frame["estimate"].notna()]
    if known.empty:
        return "No published network was trained to the end: the table says what became of each."
    on = int((known["front"] == True).sum())  # noqa: E712  nan where it was not trained
    said = f"{on} of {count_of(len(known), 'published network')} that were trained "
    said += f"{'is' if on == 1 else 'are'} on the front by their estimates"
    return said + ", all trained as the candidates were: their published scores come from longer trainings."


def effects_title(record: SearchRecord) -> str:
    """Which options certainly matter."""
    frame = record.effects
    sure = frame[(frame["low"] > 0) | (frame["high"] < 0)]
    if sure.empty:
        return f"no option differs from the first of its factor by more than its interval: {len(frame)} options"
    order = sure["worth"].abs().sort_values(ascending=False).index
    said = [_worth(record, frame.loc[i]) for i in order[:3]]
    differ = "differs from the first of its factor" if len(sure) == 1 else "differ from the first of their factor"
    return f"{len(sure)} of {count_of(len(frame), 'option')} {differ}: {listed(said)}" + (
        "" if len(sure) <= 3 else " most"
    )


def _worth(record: SearchRecord, line: Any) -> str:
    return f"{line['factor']} {line['option']} by {record.metric.difference(line['worth'])}"


def growth_title(record: SearchRecord) -> str:
    """How soon most of it was there."""
    frame = growth_shares(record)
    half = frame[frame["hypervolume"] >= 0.9]
    last = frame.iloc[-1]
    said = f"90 % of the final front's area after {half['minutes'].iloc[0]:.0f} of {last['minutes']:.0f} minutes"
    if last["random"] > 0:
        said += f"; random candidates would have had {100 * last['random']:.0f} % in the end, by the model"
    return said


def predicted_title(record: SearchRecord) -> str:
    """How many predictions held."""
    frame = predictions_frame(record)
    error = (frame["measured"] - frame["predicted"]).mean()
    return (
        f"{frame['inside'].sum()} of {count_of(len(frame), 'first training')} came out inside the 95 % interval "
        f"of what was predicted before; on average {record.metric.text(abs(error))} {record.metric.name} "
        f"{'higher' if error > 0 else 'lower'} than predicted"
    )


def fresh_title(record: SearchRecord) -> str:
    """How far the front fell."""
    fall = fall_of(record)
    assert fall is not None
    return f"with fresh seeds {count_of(fall.count, 'network')} came out lower by {fall_text(record, fall)} on average"


def fall_text(record: SearchRecord, fall: Fall) -> str:
    """A mean fall with its interval."""
    low, mean, high = (record.metric.difference(value) for value in (fall.low, fall.mean, fall.high))
    return f"{mean} ({low} to {high}) {record.metric.name}"


def longer_titles(record: SearchRecord) -> dict[str, str]:
    """By longer protocol: how many pairs keep their order. None where fewer than two networks were trained under it."""
    found: dict[str, str] = {}
    for name, frame in record.longer.items():
        same, pairs = same_order(frame["estimate"].tolist(), frame["later"].tolist())
        if pairs:
            found[name] = f"after {name} {same} of {count_of(pairs, 'pair')} of networks keep their order"
    return found


def compute_title(record: SearchRecord) -> str:
    """Where most of the compute went."""
    frame = compute_frame(record)
    total, seeds = frame["minutes"].sum(), frame["minutes"].iloc[-2:].sum()
    if not total:
        return "no compute of its own: all numbers were known before"
    return (
        f"{100 * (total - seeds) / total:.0f} % of {total:.0f} minutes went into first trainings, the rest into seeds"
    )


def saved_text(record: SearchRecord) -> str:
    """What was not trained, and why."""
    states = record.candidates["state"].value_counts()
    known, same = int(states.get("known", 0)), int(states.get("the same as another", 0))
    over = int(record.summary["over"])
    parts = [f"{count_of(over, 'network')} of the space {'is' if over == 1 else 'are'} over a limit"]
    parts += [f"{count_of(known, 'candidate')} had numbers from elsewhere"] * bool(known)
    parts += [f"{count_of(same, 'computes', 'compute')} the same as another"] * bool(same)
    return f"No second was trained on what can be known without: {listed(parts)}."


def rung_text(record: SearchRecord) -> str:
    """How many candidates began, paused and went on, and what they were compared by; "" without rungs."""
    if not record.rung:
        return ""
    summary, promoted = record.summary, int(record.candidates["promoted"].sum())
    return (
        f"New candidates pause after epoch {record.rung} of {summary['epochs']}. "
        f"{count_of(len(record.paused), 'candidate waits', 'candidates wait')} there, and {promoted} went on to the "
        f"end. They are compared by `{summary['signal']}`, of which less is better."
    )


def importance_title(frame: Frame) -> str:
    """Which factor explains most."""
    first = frame.iloc[0]
    return f"{first['factor']} explains {100 * first['share']:.0f} % of what factors explain alone"


def parallel_title(record: SearchRecord) -> str:
    """What the best have in common."""
    frame, up = record.candidates.dropna(subset=[record.search.up]), record.search.up
    best = frame.loc[frame[up].idxmax()] if len(frame) else None
    if best is None or not varying(record) or math.isnan(best[up]):
        return "every candidate that was trained, by its options"
    return f"every candidate that was trained, by its options; the highest mean is that of {best['candidate']}"


def fresh_note(record: SearchRecord) -> str:
    """What the fall means."""
    if fresh_frame(record).empty:
        return ""
    return (
        "Candidates come to the front also by a lucky first training. So their first score is too high on average, by "
        "what this figure shows. Estimates allow for it; a raw maximum does not, and is given nowhere as a result."
    )
