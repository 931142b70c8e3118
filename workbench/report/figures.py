"""The figures of quality, cost, training and persons, from frames: nothing is counted here but places on paper."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

from workbench.evaluation.metrics import METRICS, PERCENT, Metric, with_intervals
from workbench.report.drawing import (
    INTERVAL_LINES,
    WIDTH,
    Axes,
    Figure,
    Hover,
    Style,
    add_title,
    arrows,
    legend_line,
    legend_patch,
    new_figure,
    row_handles,
    styles,
)
from workbench.report.findings import latency_text
from workbench.report.frames import Frame
from workbench.report.tables import interval_of

_AP = METRICS["AP"]


def quality_figure(runs: Frame, rows: Frame, labels: Sequence[str], title: str) -> Figure:
    """Metrics beside each other: every run as a dot, the mean with its intervals above."""
    figure = new_figure(WIDTH, 1.8 + 0.38 * len(labels))
    look = styles(labels)
    panels = [metric for metric in with_intervals() if metric.name in runs]
    axes = figure.subplots(1, len(panels), sharey=True, squeeze=False)[0]
    for axis, metric in zip(axes, panels, strict=True):
        for y, label in enumerate(labels):
            values = metric.scaled(runs.loc[runs["row"] == label, metric.name])
            axis.plot(values, [y + 0.2] * len(values), "o", ms=3.5, color=look[label].colour, alpha=0.5, mew=0)
            axis.plot([values.mean()], [y], look[label].marker, ms=7, color=look[label].colour)
            if ends := _interval(rows, label, metric.name, "images_"):
                axis.plot(
                    [metric.scaled(e) for e in ends], [y, y], color=look[label].colour, **INTERVAL_LINES["images_"]
                )
        left, right = _frame_of(axis, metric)
        for y, label in enumerate(labels):
            if ends := _interval(rows, label, metric.name, ""):
                low, high = map(metric.scaled, ends)
                axis.plot([low, high], [y, y], color=look[label].colour, **INTERVAL_LINES[""])
                arrows(axis, y, (low, high), (left, right), look[label].colour)
        axis.set_xlim(left, right)
        axis.locator_params(axis="x", nbins=5)
        axis.set_xlabel(textwrap.fill(metric.label, 28))
        axis.grid(axis="x", alpha=0.25)
    axes[0].set_yticks(range(len(labels)), labels)
    axes[0].set_ylim(len(labels) - 0.4, -0.6)
    handles: list[Any] = [
        legend_line(color="#444444", marker="o", ms=7, lw=0, label="mean over runs"),
        legend_line(color="#444444", marker="o", ms=3.5, lw=0, alpha=0.5, label="one run"),
    ]
    if len(rows):
        handles.append(legend_line(color="#444444", label="95 %, other images", **INTERVAL_LINES["images_"]))
        if said := interval_of(rows):
            handles.append(legend_line(color="#444444", label=f"95 %, {said}; arrow: goes on", **INTERVAL_LINES[""]))
    figure.legend(handles=handles, loc="outside lower left", ncols=2, frameon=False, fontsize=9)
    add_title(figure, title)
    return figure


def _frame_of(axis: Axes, metric: Metric) -> tuple[float, float]:
    """What the runs and their image intervals take up, and half as much again: what is wider goes out of the frame."""
    left, right = axis.get_xlim()
    room = (right - left) / 4
    left, right = max(left - room, 0), right + room  # no metric is below 0
    return (left, min(right, 100)) if metric.shown is PERCENT else (left, right)


def _interval(rows: Frame, label: str, metric: str, kind: str) -> tuple[float, float] | None:
    if rows.empty:
        return None
    mine = rows[(rows["row"] == label) & (rows["metric"] == metric)]
    return None if mine.empty else (float(mine[f"{kind}low"].iloc[0]), float(mine[f"{kind}high"].iloc[0]))


def fronts_figure(frames: Mapping[str, Frame], labels: Sequence[str], title: str, hover: Hover | None = None) -> Figure:
    """AP against each cost, by its text; rows on the Pareto front are filled and joined."""
    figure = new_figure(WIDTH, 4.6)
    look, hover = styles(labels), hover or Hover()
    axes = figure.subplots(1, len(frames), sharey=True, squeeze=False)[0]
    for axis, (cost, frame) in zip(axes, frames.items(), strict=True):
        front = frame[frame["front"]].sort_values("cost")
        axis.step(front["cost"], _AP.scaled(front["AP"]), where="post", color="#888888", lw=1.2, ls="--", zorder=1)
        for label, line in frame.iterrows():
            with hover.mark(axis, str(label), f"{label}: {_AP.text(line['AP'])} % AP, {line['cost']:.4g} {cost}"):
                _front_mark(axis, line, look[str(label)])
        axis.set_xlabel(textwrap.fill(cost, 48))
        axis.margins(x=0.12, y=0.12)
        axis.grid(alpha=0.25)
    axes[0].set_ylim(axes[0].get_ylim())  # the widest intervals would leave nothing to see of the front
    for axis, frame in zip(axes, frames.values(), strict=True):
        for label, line in frame.iterrows():
            ends = [_AP.scaled(line[end]) for end in ("low", "high")]
            axis.plot([line["cost"]] * 2, ends, color=look[str(label)].colour, zorder=0, **INTERVAL_LINES[""])
            arrows(axis, line["cost"], ends, axes[0].get_ylim(), look[str(label)].colour, upright=True)
    axes[0].set_ylabel(_AP.label)
    there = [label for label in labels if any(label in frame.index for frame in frames.values())]
    handles = [
        *row_handles(there, look),
        legend_line(color="#888888", lw=1.2, ls="--", label="Pareto front (filled)"),
        legend_line(color="#444444", label="95 %, other images", **INTERVAL_LINES["images_"]),
    ]
    if any(frame["low"].notna().any() for frame in frames.values()):
        widest = "95 %, the widest;\nan arrow where it goes on"
        handles.append(legend_line(color="#444444", label=widest, **INTERVAL_LINES[""]))
    figure.legend(handles=handles, loc="outside right center", frameon=False, fontsize=9)
    add_title(figure, title)
    return figure


def _front_mark(axis: Axes, line: Any, style: Style) -> None:
    """A row: filled where nothing dominates it; behind it how far other images reach."""
    ends = [_AP.scaled(line[end]) for end in ("images_low", "images_high")]
    axis.plot([line["cost"]] * 2, ends, color=style.colour, **INTERVAL_LINES["images_"])
    fill = style.colour if line["front"] else "white"
    axis.plot([line["cost"]], [_AP.scaled(line["AP"])], style.marker, ms=8, mfc=fill, mec=style.colour, mew=1.8)


def curves_figure(bands: Frame, labels: Sequence[str], title: str) -> Figure:
    """AP over training: the mean of the seeds, and from the lowest to the highest of them; a panel per trunk."""
    trunks = list(dict.fromkeys(bands["trunk"]))
    figure = new_figure(WIDTH, 4.6)
    look, x = styles(labels), "images" if bands["images"].any() else "epoch"
    for axis, trunk in zip(figure.subplots(1, len(trunks), sharey=True, squeeze=False)[0], trunks, strict=True):
        for label in labels:
            mine = bands[(bands["row"] == label) & (bands["trunk"] == trunk)]
            style = look[label]
            axis.fill_between(
                mine[x], _AP.scaled(mine["min"]), _AP.scaled(mine["max"]), color=style.colour, alpha=0.18, lw=0
            )
            axis.plot(mine[x], _AP.scaled(mine["mean"]), color=style.colour, marker=style.marker, ms=3.5, lw=1.6)
        axis.set_xlabel("training images, thousands" if x == "images" else "epochs")
        axis.set_title(f"trunk {trunk}" if trunk else "", fontsize=10)
        axis.grid(alpha=0.25)
        axis.set_xlim(left=0)
    figure.axes[0].set_ylabel("AP on the validation images, %")
    handles = row_handles(labels, look, line=True)
    if (bands["count"] > 1).any():
        handles.append(legend_patch(color="#888888", alpha=0.25, label="lowest to highest seed"))
    figure.legend(handles=handles, loc="outside right center", frameon=False, fontsize=9)
    add_title(figure, title)
    return figure


def losses_figure(losses: Frame, labels: Sequence[str], title: str) -> Figure:
    """Each training loss over epochs, a panel with a scale of its own; mean over runs."""
    terms = list(dict.fromkeys(losses["term"]))
    columns = min(4, len(terms))
    figure = new_figure(WIDTH, 1.6 + 2.1 * -(-len(terms) // columns))
    look = styles(labels)
    grid = list(figure.subplots(-(-len(terms) // columns), columns, squeeze=False).flat)
    for axis, term in zip(grid, terms, strict=False):
        for label in labels:
            mine = losses[(losses["term"] == term) & (losses["row"] == label)]
            axis.plot(mine["epoch"], mine["value"], color=look[label].colour, marker=look[label].marker, ms=3, lw=1.3)
        axis.set_title(term, fontsize=10)
        axis.set_xlabel("epochs", fontsize=9)
        axis.grid(alpha=0.25)
        axis.tick_params(labelsize=8)
    for axis in grid[len(terms) :]:
        axis.remove()
    figure.axes[0].set_ylabel("loss, weighted", fontsize=9)
    figure.legend(handles=row_handles(labels, look, line=True), loc="outside right center", frameon=False, fontsize=9)
    add_title(figure, title)
    return figure


def persons_figure(frame: Frame, title: str) -> Figure:
    """Latency against the number of persons in the image: median, and up to the 90th percentile."""
    figure = new_figure(WIDTH, 5.2)
    axis: Any = figure.subplots()
    methods = list(dict.fromkeys(frame["method"]))
    look = styles(methods)
    for method in methods:
        mine, style = frame[frame["method"] == method].sort_values("persons"), look[method]
        axis.fill_between(mine["persons"], mine["p50"], mine["p90"], color=style.colour, alpha=0.18, lw=0)
        axis.plot(mine["persons"], mine["p50"], color=style.colour, marker=style.marker, ms=5, lw=1.6)
    axis.set_xscale("symlog", base=2, linthresh=1)
    ticks = sorted(set(frame["persons"]))
    axis.set_xticks(ticks, [f"{t:g}" for t in ticks])
    axis.minorticks_off()
    axis.set_yscale("log")
    axis.set_xlabel("persons in the image")
    axis.set_ylabel(textwrap.fill(latency_text(frame), 48))
    axis.grid(alpha=0.25)
    handles = [
        *row_handles(methods, look, line=True),
        legend_patch(color="#888888", alpha=0.25, label="50th to 90th percentile"),
    ]
    figure.legend(handles=handles, loc="outside right center", frameon=False, fontsize=9)
    add_title(figure, title)
    return figure
