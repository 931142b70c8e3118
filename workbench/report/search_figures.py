"""The figures of a search, from its record: nothing is counted here but places on paper."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from workbench.report.drawing import (
    INK,
    WIDTH,
    Axes,
    Figure,
    Hover,
    add_title,
    arrows,
    legend_line,
    legend_patch,
    new_figure,
    shade,
    shade_bar,
)
from workbench.report.frames import Frame
from workbench.report.search_findings import count_of, estimate_text
from workbench.report.search_frames import FACTOR, SearchRecord, factors_of

ON, OFF, OUT, PALE = "#0072B2", "#8C8C8C", "#D55E00", "#BBBBBB"
GROUPS = ("on the front", "below the front")
ROOM = 1.15  # how far beyond the limit, or beyond the dearest that was trained, a front's axis goes


def front_figure(record: SearchRecord, title: str, hover: Hover | None = None) -> Figure:
    """Estimates with intervals over cost: the front in colour and joined, what lies below it grey."""
    figure, hover = new_figure(WIDTH, 5.6), hover or Hover()
    axis: Any = figure.subplots()
    scaled, front, limit = record.metric.scaled, record.on_front, record.limits.get(record.search.down)
    axis.set_xscale("log")
    right = ROOM * max(limit or 0.0, record.front["cost"].max())
    left = record.front["cost"].min() / ROOM
    axis.set_xlim(left, right)
    axis.set_ylim(*_frame_of(record))
    axis.step([*front["cost"], right], scaled([*front["estimate"], front["estimate"].iloc[-1]] * np.ones(1)),
              where="post", color=ON, lw=1.2, ls="--", zorder=1)  # fmt: skip
    for group, lines in zip(reversed(GROUPS), (record.front[~record.front["front"]], front), strict=True):
        for _, line in lines.iterrows():
            said = (
                f"{line['candidate']} {line['text']}: {estimate_text(record, line)}, {record.cost_text(line['cost'])}"
            )
            with hover.mark(axis, group, f"{said}; {line['seeds']} seeds, chance {line['chance']:.2f}"):
                _front_mark(axis, record, line, group == GROUPS[0])
    _name_front(axis, record, left, right)
    _name_published(axis, record, left, right)
    hidden = _over_ticks(axis, record, left, right)
    if limit is not None:
        axis.axvline(limit, color=OUT, lw=1, ls=":", zorder=0)
    axis.set_xticks(*_ticks(left, right))
    axis.minorticks_off()
    axis.set_xlabel(f"cost: {record.cost}")
    axis.set_ylabel(_scores(record, 52))
    axis.grid(alpha=0.25)
    figure.legend(
        handles=_front_handles(record, limit, hidden), loc="outside lower left", ncols=2, frameon=False, fontsize=9
    )
    add_title(figure, title)
    return figure


def _scores(record: SearchRecord, width: int) -> str:
    """The text of an axis of scores."""
    return textwrap.fill(f"{record.metric.label}, {record.trained_as}", width)


def _frame_of(record: SearchRecord) -> tuple[float, float]:
    """What the estimates and the intervals of the front take up."""
    scaled, frame = record.metric.scaled, record.front
    low = min(frame["estimate"].min(), record.on_front["low"].min())
    high = max(frame["estimate"].max(), record.on_front["high"].max())
    room = 0.06 * (high - low) or 0.01
    return scaled(low - room), scaled(high + room)


def _front_mark(axis: Axes, record: SearchRecord, line: Any, on: bool) -> None:
    scaled, colour = record.metric.scaled, ON if on else PALE
    ends = [scaled(line["low"]), scaled(line["high"])]
    axis.plot([line["cost"]] * 2, ends, color=colour, lw=1.8 if on else 0.7, zorder=3 if on else 1)
    axis.plot([line["cost"]], [scaled(line["estimate"])], "o", ms=8 if on else 5, color=colour if on else OFF,
              mew=0, zorder=4 if on else 2)  # fmt: skip
    arrows(axis, line["cost"], ends, axis.get_ylim(), colour, upright=True)


def _name_front(axis: Axes, record: SearchRecord, left: float, right: float) -> None:
    """The numbers beside the marks of the front; below one where the next would lie over its own."""
    front, (bottom, top) = record.on_front, axis.get_ylim()
    costs, heights = [*front["cost"]], [record.metric.scaled(value) for value in front["estimate"]]
    for i, (name, cost, height) in enumerate(zip(front["candidate"], costs, heights, strict=True)):
        near = i + 1 < len(costs) and costs[i + 1] / cost < (right / left) ** 0.06
        below = near and heights[i + 1] - height < 0.06 * (top - bottom)
        axis.annotate(name, (cost, height), (6, -13 if below else 5), textcoords="offset points", fontsize=9,
                      color=INK, zorder=5)  # fmt: skip


def _name_published(axis: Axes, record: SearchRecord, left: float, right: float) -> None:
    """The names of published networks, below their marks; of what was not trained, and why, at its tick.

    Ticks stand close: a cheaper one is higher, so that its name passes above those of dearer ones.
    """
    (bottom, top), below = axis.get_ylim(), 0
    for _, line in record.published.sort_values(record.search.down, ascending=False).iterrows():
        cost, name = line[record.search.down], line["published"]
        if not left <= cost <= right:
            continue
        if not np.isnan(line["estimate"]):
            place, offset, side = (cost, record.metric.scaled(line["estimate"])), (-6, -14), "right"
        else:
            height = bottom + (0.025 + 0.05 * below) * (top - bottom)
            axis.plot([cost, cost], [bottom, height], color=OFF, lw=1.4, zorder=1)
            name, place, offset, side = f"{name}: {line['state']}", (cost, height), (4, -6), "left"
            below += 1
        axis.annotate(name, place, offset, textcoords="offset points", ha=side, fontsize=9, color=INK, zorder=5)


def _over_ticks(axis: Axes, record: SearchRecord, left: float, right: float) -> int:
    """Ticks at the lower edge for what is over a limit; how many of them lie further right than the figure goes."""
    costs = record.over[record.search.down] if len(record.over) else np.zeros(0)
    shown = [cost for cost in costs if left <= cost <= right]
    bottom, top = axis.get_ylim()
    for cost in shown:
        axis.plot([cost, cost], [bottom, bottom + 0.025 * (top - bottom)], color=OUT, lw=0.9, zorder=1)
    return len(costs) - len(shown)


def _ticks(left: float, right: float) -> tuple[list[float], list[str]]:
    """Round numbers on a log axis."""
    steps = [m * 10.0**e for e in range(-3, 12) for m in (1, 1.5, 2, 3, 4, 5, 6, 7, 8, 10, 12, 14, 16, 18)]
    there = sorted({round(step, 12) for step in steps if left <= step <= right})
    every = max(1, len(there) // 12)
    return there[::every], [f"{tick / 1e6:g} M" if tick >= 1e5 else f"{tick:g}" for tick in there[::every]]


def _front_handles(record: SearchRecord, limit: float | None, hidden: int) -> list[Any]:
    handles = [
        legend_line(color=ON, marker="o", ms=8, lw=1.8, label="on the front by its estimate, 95 % interval"),
        legend_line(color=OFF, marker="o", ms=5, lw=0.7, label="trained, below the front"),
    ]
    if limit is not None:
        handles.append(legend_line(color=OUT, ls=":", label=f"limit: {limit:g}"))
    if len(record.over):
        beyond = f"; {hidden} of them cost more than is shown" if hidden else ""
        handles.append(
            legend_line(
                color=OUT, marker="|", lw=0, ms=8, label=f"over a limit, not trained: {len(record.over)}{beyond}"
            )
        )
    return handles


def effects_figure(record: SearchRecord, title: str) -> Figure:
    """What each option is worth against the first of its factor, and what it costs."""
    frame = record.effects
    figure = new_figure(WIDTH, 1.7 + 0.3 * len(frame))
    worth, cost = figure.subplots(1, 2, sharey=True, width_ratios=(3, 2))
    for y, (_, line) in enumerate(frame.iterrows()):
        sure = line["low"] > 0 or line["high"] < 0
        colour = ON if sure else OFF
        ends = [record.metric.scaled(line[end]) for end in ("low", "high")]
        worth.plot(ends, [y, y], color=colour, lw=1.8)
        worth.plot([record.metric.scaled(line["worth"])], [y], "o", ms=6, color=colour)
        cost.plot([1, line["cost_ratio"]], [y, y], color=PALE, lw=1.8)
        cost.plot([line["cost_ratio"]], [y], "s", ms=5.5, color="#444444")
    names = [f"{line['factor']}: {line['option']}  (first: {line['first']})" for _, line in frame.iterrows()]
    worth.set_yticks(range(len(frame)), names)
    worth.set_ylim(len(frame) - 0.4, -0.6)
    worth.axvline(0, color=INK, lw=0.8, zorder=0)
    cost.axvline(1, color=INK, lw=0.8, zorder=0)
    worth.set_xlabel(textwrap.fill(f"{record.difference}, {record.trained_as}", 60))
    cost.set_xlabel(textwrap.fill(f"ratio of costs: {record.cost}", 40))
    for axis in (worth, cost):
        axis.grid(axis="x", alpha=0.25)
    handles = [
        legend_line(color=ON, marker="o", lw=1.8, label="95 % interval does not hold 0"),
        legend_line(color=OFF, marker="o", lw=1.8, label="it does"),
    ]
    figure.legend(handles=handles, loc="outside lower left", ncols=2, frameon=False, fontsize=9)
    add_title(figure, title)
    return figure


def growth_figure(record: SearchRecord, shares: Frame, title: str) -> Figure:
    """The front's area over compute: as judged in the end, as believed then, and at random."""
    figure = new_figure(WIDTH, 4.4)
    axis: Any = figure.subplots()
    x = shares["minutes"]
    axis.fill_between(x, 100 * shares["low"], 100 * shares["high"], step="post", color=ON, alpha=0.15, lw=0)
    axis.step(x, 100 * shares["hypervolume"], where="post", color=ON, lw=2)
    axis.step(x, 100 * shares["believed"], where="post", color=OUT, lw=1.1, ls="--")
    axis.step(x, 100 * shares["random"], where="post", color=OFF, lw=1.3, ls=":")
    seeds = shares[shares["purpose"] == "front"]
    if len(seeds):
        axis.axvspan(seeds["minutes"].iloc[0], x.iloc[-1], color="#F4F1E6", zorder=0, lw=0)
    axis.set_ylim(0, min(100 * shares[["high", "believed", "hypervolume"]].max().max() * 1.05, 250))
    axis.set_xlim(0, x.iloc[-1])
    axis.set_xlabel("minutes of training on one core")
    axis.set_ylabel(f"area under the front, % of the final one's\n({record.metric.name} over log cost)")
    axis.grid(alpha=0.25)
    handles = [
        legend_line(color=ON, lw=2, label="the front that it had then, judged by all that is known now"),
        legend_patch(color=ON, alpha=0.15, label="95 % of that"),
        legend_line(color=OUT, ls="--", lw=1.1, label="the same, as the search believed then"),
        legend_line(color=OFF, ls=":", lw=1.3, label="random candidates: drawn from the model, not trained"),
    ]
    if len(seeds):
        handles.append(legend_patch(color="#F4F1E6", label="from the first further seed on"))
    figure.legend(handles=handles, loc="outside lower left", ncols=2, frameon=False, fontsize=9)
    add_title(figure, title)
    return figure


def predicted_figure(record: SearchRecord, frame: Frame, title: str) -> Figure:
    """Measured against what was predicted before, with the intervals of that."""
    figure = new_figure(WIDTH, 5.2)
    axis: Any = figure.subplots()
    scaled = record.metric.scaled
    seen = scaled(np.concatenate([frame["measured"], frame["predicted"]]))
    room = 0.3 * (np.ptp(seen) or 1.0)
    ends = (seen.min() - room, seen.max() + room)
    axis.plot(ends, ends, color=INK, lw=0.8, zorder=0)
    for _, line in frame.iterrows():
        colour = ON if line["inside"] else OUT
        interval = [scaled(line["low"]), scaled(line["high"])]
        axis.plot([scaled(line["measured"])] * 2, interval, color=colour, lw=1, alpha=0.6)
        axis.plot([scaled(line["measured"])], [scaled(line["predicted"])], "o", ms=5.5, color=colour)
        arrows(axis, scaled(line["measured"]), interval, ends, colour, upright=True)
    axis.set_xlim(seen.min() - room / 3, seen.max() + room / 3)
    axis.set_ylim(*ends)
    axis.set_xlabel(f"measured by the first training: {_scores(record, 110)}")
    axis.set_ylabel(f"predicted before it: {record.metric.label}")
    axis.grid(alpha=0.25)
    handles = [
        legend_line(color=ON, marker="o", lw=1, label="95 % interval of the prediction holds what was measured"),
        legend_line(color=OUT, marker="o", lw=1, label="it does not"),
        legend_line(color=INK, lw=0.8, label="as predicted"),
    ]
    figure.legend(handles=handles, loc="outside lower left", ncols=3, frameon=False, fontsize=9)
    add_title(figure, title)
    return figure


def fresh_figure(record: SearchRecord, frame: Frame, title: str) -> Figure:
    """First training against the mean of those with fresh seeds."""
    figure = new_figure(WIDTH, 1.7 + 0.32 * len(frame))
    axis: Any = figure.subplots()
    scaled, frame = record.metric.scaled, frame.sort_values("others", ascending=False)
    for y, (_, line) in enumerate(frame.iterrows()):
        first, others = scaled(line["first"]), scaled(line["others"])
        axis.plot([first, others], [y, y], color=PALE, lw=2, zorder=1)
        axis.plot([first], [y], "o", ms=6.5, mfc="white", mec=OUT, mew=1.6)
        axis.plot([others], [y], "o", ms=6.5, color=ON)
    names = [f"{line['candidate']}  ({line['count']} more)" for _, line in frame.iterrows()]
    axis.set_yticks(range(len(frame)), names)
    axis.set_ylim(len(frame) - 0.4, -0.6)
    axis.set_xlabel(_scores(record, 110))
    axis.grid(axis="x", alpha=0.25)
    handles = [
        legend_line(color=OUT, marker="o", mfc="white", mew=1.6, lw=0, label="first training"),
        legend_line(color=ON, marker="o", lw=0, label="mean of the others"),
    ]
    figure.legend(handles=handles, loc="outside lower left", ncols=2, frameon=False, fontsize=9)
    add_title(figure, title)
    return figure


def longer_figure(record: SearchRecord, protocol: str, title: str) -> Figure:
    """A line per network from its estimate in the search to its mean under a longer protocol, each on its own scale."""
    frame = record.longer[protocol].sort_values("estimate")
    figure = new_figure(WIDTH, 1.9 + 0.34 * len(frame))
    axis: Any = figure.subplots()
    before, after = (_heights(frame[name].to_numpy()) for name in ("estimate", "later"))
    names = dict(zip(record.published["candidate"], record.published["published"], strict=True))
    for y, z, (_, line) in zip(before, after, frame.iterrows(), strict=True):
        named = line["candidate"] in names
        axis.plot([0, 1], [y, z], "o-", color=OFF if named else ON, lw=1.6, ms=5)
        name = f"{names.get(line['candidate'], '')} {line['candidate']}".strip()
        axis.text(-0.02, y, f"{name}  {record.metric.text(line['estimate'])}", ha="right", va="center", fontsize=9)
        axis.text(1.02, z, f"{record.metric.text(line['later'])}  {name}", ha="left", va="center", fontsize=9)
    axis.set_xlim(-0.6, 1.6)
    axis.set_ylim(-0.1, 1.1)
    axis.set_xticks([0, 1], [f"{record.metric.name} by estimate, {record.protocol.name}", f"mean measured, {protocol}"])
    axis.set_yticks([])
    axis.spines["left"].set_visible(False)
    handles = [
        legend_line(color=ON, marker="o", lw=1.6, label="on the front of the search"),
        legend_line(color=OFF, marker="o", lw=1.6, label="published, or such a backbone"),
    ]
    figure.legend(handles=handles, loc="outside lower left", ncols=2, frameon=False, fontsize=9)
    add_title(figure, title)
    return figure


def _heights(values: np.ndarray) -> np.ndarray:
    """By rank, from 0 to 1: labels of near scores would lie over one another."""
    return np.argsort(np.argsort(values, kind="stable"), kind="stable") / max(len(values) - 1, 1)


def compute_figure(frame: Frame, title: str) -> Figure:
    """Minutes by what they went into."""
    figure = new_figure(WIDTH, 2.6)
    axis: Any = figure.subplots()
    for y, (_, line) in enumerate(frame.iterrows()):
        axis.barh(y, line["minutes"], color=ON if "now on" in line["what"] else PALE, height=0.62)
        axis.text(
            line["minutes"],
            y,
            f"  {line['minutes']:.0f} min, {count_of(line['trainings'], 'training')}",
            va="center",
            fontsize=9,
        )
    axis.set_yticks(range(len(frame)), frame["what"])
    axis.set_ylim(len(frame) - 0.4, -0.6)
    axis.set_xlim(0, 1.3 * max(frame["minutes"].max(), 1e-9))
    axis.set_xlabel("minutes of training on one core")
    axis.grid(axis="x", alpha=0.25)
    add_title(figure, title)
    return figure


def importance_figure(frame: Frame, title: str) -> Figure:
    """The share of each factor."""
    figure = new_figure(WIDTH, 1.4 + 0.28 * len(frame))
    axis: Any = figure.subplots()
    for y, (_, line) in enumerate(frame.iterrows()):
        axis.barh(y, 100 * line["share"], color=ON, height=0.6)
        axis.text(100 * line["share"], y, f"  {100 * line['share']:.0f} %", va="center", fontsize=9)
    axis.set_yticks(range(len(frame)), frame["factor"])
    axis.set_ylim(len(frame) - 0.4, -0.6)
    axis.set_xlim(0, 112)
    axis.set_xlabel("share of what factors explain alone, %, by fANOVA")
    axis.grid(axis="x", alpha=0.25)
    add_title(figure, title)
    return figure


def parallel_figure(record: SearchRecord, orders: Mapping[str, Sequence[str]], title: str) -> Figure:
    """One line per candidate that was trained, through its options; the darker the better.

    Args:
        orders: of each factor its labels, from below. A factor that a candidate does not have is passed at the foot.
    """
    figure = new_figure(WIDTH, 4.8)
    axis: Any = figure.subplots()
    factors, up = factors_of(record), record.search.up
    frame = record.candidates.dropna(subset=[up]).sort_values(up)
    low, high = (record.metric.scaled(frame[up].agg(end)) for end in ("min", "max"))
    heights = {f: {label: i / max(len(orders[f]) - 1, 1) for i, label in enumerate(orders[f])} for f in factors}
    spread = np.random.default_rng(0)  # lines over one another would be one
    for _, line in frame.iterrows():
        labels = [str(line[FACTOR + factor]) for factor in factors]
        ys = [
            heights[f].get(label, -0.25) + spread.uniform(-0.02, 0.02) for f, label in zip(factors, labels, strict=True)
        ]
        share = (record.metric.scaled(line[up]) - low) / (high - low) if high > low else 1.0
        axis.plot(range(len(factors)), ys, color=shade(share), lw=0.8 + 1.6 * share, alpha=0.85, zorder=2 + share)
    for x, factor in enumerate(factors):
        axis.axvline(x, color=PALE, lw=1, zorder=0)
        for label, y in heights[factor].items():
            axis.text(x, y, f" {label}", fontsize=8.5, va="bottom", zorder=6,
                      bbox={"facecolor": "white", "alpha": 0.7, "lw": 0, "pad": 0.6})  # fmt: skip
    axis.set_xticks(range(len(factors)), factors)
    axis.set_yticks([])
    axis.set_xlim(-0.15, len(factors) - 0.35)
    axis.set_ylim(-0.32, 1.12)
    if any((frame[FACTOR + factor] == "").any() for factor in factors):
        axis.text(-0.1, -0.25, "no such choice", fontsize=8.5, color="#666666", va="center")
    axis.spines["left"].set_visible(False)
    shade_bar(figure, axis, low, high, f"mean {_scores(record, 60)}")
    add_title(figure, title)
    return figure
