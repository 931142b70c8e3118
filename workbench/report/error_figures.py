"""Figures of what goes wrong: precision against recall, errors of key points, kinds of error, kinds of images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from workbench.evaluation.metrics import METRICS
from workbench.report.diagnosis import MATCHED
from workbench.report.drawing import INK, WIDTH, Figure, add_title, legend_patch, new_figure, row_handles, styles
from workbench.report.frames import Frame

_AP = METRICS["AP"]


def precision_figure(frame: Frame, labels: Sequence[str], title: str) -> Figure:
    """Precision against recall, a panel per OKS threshold."""
    thresholds = sorted(set(frame["threshold"]))
    figure = new_figure(WIDTH, 4.4)
    look = styles(labels)
    axes = figure.subplots(1, len(thresholds), sharey=True, squeeze=False)[0]
    for axis, threshold in zip(axes, thresholds, strict=True):
        for label in labels:
            mine = frame[(frame["row"] == label) & (frame["threshold"] == threshold) & (frame["precision"] > 0)]
            axis.plot(100 * mine["recall"], 100 * mine["precision"], color=look[label].colour, lw=1.5)
            some = mine[5::10]
            axis.plot(100 * some["recall"], 100 * some["precision"], look[label].marker, color=look[label].colour, ms=5)
        axis.set_title(f"OKS {threshold:.2f}", fontsize=10)
        axis.set_xlabel("recall, % of the persons")
        axis.set_xlim(0, 101)
        axis.set_ylim(0, 101)
        axis.grid(alpha=0.25)
    axes[0].set_ylabel("precision, % of the detections")
    figure.legend(handles=row_handles(labels, look, line=True), loc="outside right center", frameon=False, fontsize=9)
    add_title(figure, title)
    return figure


def points_figure(frame: Frame, labels: Sequence[str], title: str) -> Figure:
    """The mean error of each key point, one mark per row."""
    points = list(dict.fromkeys(frame["keypoint"]))
    figure = new_figure(WIDTH, 1.6 + 0.3 * len(points))
    look = styles(labels)
    axis = figure.subplots()
    for label in labels:
        mine = frame[frame["row"] == label].set_index("keypoint").reindex(points)
        axis.plot(mine["error"], range(len(points)), look[label].marker, color=look[label].colour, ms=6, alpha=0.9)
    axis.set_yticks(range(len(points)), points)
    axis.set_ylim(len(points) - 0.4, -0.6)
    axis.set_xlim(left=0)
    axis.set_xlabel(f"{METRICS['NME'].label}; persons matched at OKS {MATCHED:g} and more (NME in tables: at 0.5)")
    axis.grid(alpha=0.25)
    figure.legend(handles=row_handles(labels, look), loc="outside right center", frameon=False, fontsize=9)
    add_title(figure, title)
    return figure


ERROR_COLOURS = {"good": "#DDDDDD", "jitter": "#56B4E9", "inversion": "#CC79A7", "swap": "#E69F00", "miss": "#444444"}


def kinds_figure(shares: Frame, title: str) -> Figure:
    """Key points of matched persons by kind of error, a bar per row. `shares`: rows x kinds, 0..1."""
    figure = new_figure(WIDTH, 1.5 + 0.36 * len(shares))
    axis = figure.subplots()
    left = [0.0] * len(shares)
    for kind, colour in ERROR_COLOURS.items():
        widths = (100 * shares[kind]).tolist()
        axis.barh(range(len(shares)), widths, left=left, color=colour, height=0.7)
        for y, (start, width) in enumerate(zip(left, widths, strict=True)):
            if width >= 4:
                ink = "white" if kind == "miss" else INK
                axis.text(start + width / 2, y, f"{width:.0f}", ha="center", va="center", fontsize=8.5, color=ink)
        left = [start + width for start, width in zip(left, widths, strict=True)]
    axis.set_yticks(range(len(shares)), [str(label) for label in shares.index])
    axis.set_ylim(len(shares) - 0.4, -0.6)
    axis.set_xlim(0, 100)
    axis.set_xlabel("% of the labelled key points of matched persons")
    handles = [legend_patch(color=colour, label=kind) for kind, colour in ERROR_COLOURS.items()]
    figure.legend(handles=handles, loc="outside lower left", ncols=len(handles), frameon=False, fontsize=9)
    add_title(figure, title)
    return figure


def slices_figure(
    means: Mapping[str, Frame], persons: Mapping[str, Mapping[str, int]], labels: Sequence[str], title: str
) -> Figure:
    """AP by size of persons and by crowding; under each slice the number of its persons."""
    words = {"size": "√area of the image's median person, px", "crowding": "crowd index of the image"}
    figure = new_figure(WIDTH, 4.8)
    look = styles(labels)
    axes = figure.subplots(1, len(means), sharey=True, squeeze=False)[0]
    for axis, (by, frame) in zip(axes, means.items(), strict=True):
        for i, (label, line) in enumerate(frame.iterrows()):
            style = look[str(label)]
            x = [n + 0.06 * (i - (len(frame) - 1) / 2) for n in range(len(line))]  # side by side, not on each other
            axis.plot(x, _AP.scaled(line), color=style.colour, marker=style.marker, lw=1, alpha=0.9, ms=6)
        axis.set_xticks(range(len(frame.columns)), [f"{s}\n{persons[by][s]:,} persons" for s in frame.columns])
        axis.set_xlabel(words[by])
        axis.margins(x=0.15)
        axis.grid(axis="y", alpha=0.25)
    axes[0].set_ylabel("AP, %, mean over runs")
    figure.legend(handles=row_handles(labels, look, line=True), loc="outside right center", frameon=False, fontsize=9)
    add_title(figure, title)
    return figure
