"""The figures of a page, from frames: nothing is counted here but places on paper.

A row has the same colour and marker in every figure. The first eight colours are those of Okabe and Ito, which stay
apart for the colour-blind; markers say the same once more. Legends stand outside the axes. Each mark has
a group of its own in an SVG file, so that a page can show and hide it (`Hover`).
"""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO, StringIO
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from workbench.evaluation.metrics import METRICS, PERCENT, Metric, with_intervals
from workbench.report.findings import latency_text
from workbench.report.frames import Frame
from workbench.report.freshness import STAMP
from workbench.report.tables import STATES, interval_of

COLOURS = (
    "#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9", "#6E5A00", "#000000", "#882255", "#A6D854",
    "#332288", "#8C8C8C", "#F2B6A0",
)  # fmt: skip
MARKERS = "osD^vPX*<>phd"
VERDICTS = {"holds": "#0072B2", "fails": "#D55E00", "open": "#6B6B6B", "": "#6B6B6B"}
INK, FAINT = "#222222", "#BBBBBB"
DPI = 110
_AP = METRICS["AP"]
WIDTH = 10.0  # inches of a whole-page figure
SWAMPED = 3.0  # times the largest difference: further out an interval is cut off
_STYLE: Any = {
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#888888",
    "axes.labelcolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "text.color": INK,
}
matplotlib.rcParams.update(_STYLE)


@dataclass(frozen=True)
class Style:
    colour: str
    marker: str


def styles(labels: Sequence[str]) -> dict[str, Style]:
    """A look for each row; after thirteen rows colours come again with other markers."""
    shift = len(COLOURS)
    return {
        label: Style(COLOURS[i % shift], MARKERS[(i + i // shift) % len(MARKERS)]) for i, label in enumerate(labels)
    }


def png(figure: Figure, stamp: str = "") -> bytes:
    """The figure as a PNG file, with the stamp inside."""
    file, known = BytesIO(), {STAMP: stamp} if stamp else {}
    figure.savefig(file, format="png", dpi=DPI, facecolor="white", metadata=known, pil_kwargs={"optimize": True})
    return file.getvalue()


def svg(figure: Figure) -> str:
    """The figure as the `<svg>` of a page, with texts as texts. The same figure gives the same bytes."""
    file = StringIO()
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "workbench"}):
        figure.savefig(
            file, format="svg", metadata=dict.fromkeys(("Creator", "Date", "Format", "Type")), facecolor="white"
        )
    text = file.getvalue()
    return text[text.index("<svg") :]


class Hover:
    """What is said of the marks of a figure where a page can show it, and to which row each belongs."""

    def __init__(self) -> None:
        self.texts: dict[str, str] = {}  # by group of the SVG file
        self.rows: dict[str, str] = {}  # row by group

    @contextmanager
    def mark(self, axis: Axes, row: str, text: str) -> Iterator[None]:
        """What is drawn on this axis inside belongs to that row."""
        before = set(axis.get_children())
        yield
        for artist in axis.get_children():
            if artist not in before and not artist.get_gid():
                group = f"mark{len(self.texts)}"
                artist.set_gid(group)
                self.texts[group], self.rows[group] = text, row


def legend_line(**look: Any) -> Line2D:
    """A line or a marker of a legend."""
    return Line2D([], [], **look)


def new_figure(width: float, height: float) -> Figure:
    return Figure(figsize=(width, height), layout="constrained")


def add_title(figure: Figure, text: str, width: float = WIDTH) -> None:
    wrapped = textwrap.fill(text[:1].upper() + text[1:], int(width * 9.5))
    figure.suptitle(wrapped, x=0.01, ha="left", fontsize=12, fontweight="bold")


def _unit(metric: str) -> tuple[float, str]:
    """By what a metric is multiplied to be shown, and its unit."""
    shown = METRICS[metric].shown
    return shown.factor, "points" if shown is PERCENT else shown.unit


# ---------------------------------------------------------------------------------------------------------- forest


def forest_figure(frame: Frame, title: str, hover: Hover | None = None) -> Figure:
    """Differences with both intervals; one panel per metric for the claims, one below it for the other comparisons.

    They have scales of their own: a row far off would leave nothing to see of a claim about one point.
    """
    keys = dict.fromkeys(zip(frame["metric"], frame["claim"] == "", strict=True))
    parts = {key: frame[(frame["metric"] == key[0]) & ((frame["claim"] == "") == key[1])] for key in sorted(keys)}
    groups = [(metric, _lines(part)) for (metric, _), part in parts.items()]
    counts = [len(lines) for _, lines in groups]
    figure = new_figure(WIDTH, 1.5 + 0.27 * sum(counts) + 0.6 * len(counts))
    axes = figure.subplots(len(counts), 1, squeeze=False, height_ratios=[n + 1 for n in counts])[:, 0]
    for axis, (metric, lines) in zip(axes, groups, strict=True):
        _forest_panel(axis, lines, metric, hover or Hover())
    unit = "trunks" if (frame["trunk"] != "").any() else "seeds"
    handles: list[Any] = [
        Line2D([], [], color=INK, lw=6, alpha=0.3, label="95 % over images: other pictures, these networks"),
        Line2D([], [], color=INK, lw=2.2, label=f"95 % over {unit}: other {unit}"),
        Line2D(
            [],
            [],
            color=INK,
            lw=0.7,
            marker="|",
            label="the widest, an arrow where it goes on; a verdict must stand after Holm's correction",
        ),
        *(Line2D([], [], color=VERDICTS[v], marker="o", lw=0, label=f"claim {v}") for v in _states(frame)),
    ]
    figure.legend(handles=handles, loc="outside lower left", ncols=2, frameon=False, fontsize=9)
    add_title(figure, title)
    return figure


def _states(frame: Frame) -> list[str]:
    return [state for state in STATES if (frame["verdict"] == state).any()]


def _lines(frame: Frame) -> list[tuple[str, Mapping[str, Any]]]:
    """Text and numbers of each line; overall before its trunks. A heading has no numbers."""
    lines: list[tuple[str, Mapping[str, Any]]] = []
    for line in frame.to_dict("records"):
        if not (lines or line["claim"]):
            lines.append((f"every row − {line['than']} (not corrected, decides nothing)", {}))
        whole = f"{line['claim']}:  {line['row']} − {line['than']}" if line["claim"] else f"{line['row']}"
        lines.append((f"on trunk {line['trunk']}" if line["trunk"] else whole, line))
    return lines


def _forest_panel(axis: Axes, lines: Sequence[tuple[str, Mapping[str, Any]]], metric: str, hover: Hover) -> None:
    scale, unit = _unit(metric)
    claims = any(line.get("claim") for _, line in lines)
    reach = _reach([line for _, line in lines if line], scale)
    for y, (text, line) in enumerate(lines):
        if line:
            with hover.mark(axis, str(line["row"]), f"{text}: {_told(line, metric)}"):
                _forest_line(axis, y, line, scale, reach)
            _margin(axis, y, line, scale)
    axis.set_xlim(-reach, reach) if math.isfinite(reach) else None
    axis.set_yticks(range(len(lines)), [textwrap.shorten(text, 72, placeholder=" …") for text, _ in lines])
    for tick, (_, line) in zip(axis.get_yticklabels(), lines, strict=True):
        tick.set_fontsize(8.5 if line.get("trunk") else 10)
        tick.set_color("#666666" if line.get("trunk") or not line else INK)
        tick.set_fontweight(
            "bold" if not line or (claims and line.get("claim") and not line.get("trunk")) else "normal"
        )
    axis.set_ylim(len(lines) - 0.4, -0.6)
    axis.tick_params(axis="y", length=0)
    axis.spines["left"].set_visible(False)
    axis.axvline(0, color=INK, lw=0.8, zorder=0)
    axis.grid(axis="x", alpha=0.25)
    axis.set_xlabel(f"difference in {metric}" + f", {unit}" * bool(unit))


def _reach(lines: Sequence[Mapping[str, Any]], scale: float) -> float:
    """How far from 0 a panel reaches: past every mean, image interval and margin, not past a wild interval of two."""
    names = ("mean", "images_low", "images_high", "margin")
    sure = [abs(line.get(name, math.nan)) * scale for line in lines for name in names]
    ends = [abs(line.get(end, math.nan)) * scale for line in lines for end in ("low", "high")]
    known, far = ([v for v in values if math.isfinite(v)] for values in (sure, ends))
    if not known:
        return math.inf
    return 1.08 * (min(max(far, default=0), SWAMPED * max(known)) or max(known) or 1)


def _told(line: Mapping[str, Any], metric: str) -> str:
    ends = " to ".join(METRICS[metric].difference(line[end], more=1) for end in ("low", "high"))
    said = f"{METRICS[metric].difference(line['mean'], more=1)} {metric}, 95 % interval {ends}"
    return said + f"; {line['verdict']}" * bool(line["claim"] and not line["trunk"])


def _forest_line(axis: Axes, y: float, line: Mapping[str, Any], scale: float, reach: float) -> None:
    whole = not line["trunk"]
    colour = VERDICTS[line["verdict"]] if line["claim"] else "#444444"
    wide, thin, size = (7, 2.2, 6.5) if whole else (4, 1.2, 3.5)
    for kind, width, alpha in (("images_", wide, 0.3), ("seeds_", thin, 1.0), ("", 0.7, 1.0)):
        ends = [line.get(f"{kind}{end}", math.nan) * scale for end in ("low", "high")]
        caps = {"marker": "|", "ms": size} if not kind else {}
        axis.plot(ends, [y, y], lw=width, alpha=alpha, color=colour, solid_capstyle="butt", zorder=2, **caps)
    _arrows(axis, y, [line.get(end, math.nan) * scale for end in ("low", "high")], (-reach, reach), colour)
    axis.plot([line["mean"] * scale], [y], "o", ms=size, color=colour, zorder=3)


def _arrows(
    axis: Axes, at: float, ends: Sequence[float], limits: tuple[float, float], colour: str, upright: bool = False
) -> None:
    """An arrow head at the frame where an interval goes on beyond it. `at`: its place on the other axis."""
    (low, high), (left, right) = ends, limits
    inset = 0.012 * (right - left)
    for beyond, place, head in ((low < left, left + inset, "<v"), (high > right, right - inset, ">^")):
        if beyond:
            spot = (at, place) if upright else (place, at)
            axis.plot(*spot, head[upright], ms=6, color=colour, mew=0, clip_on=False, zorder=4)


def _margin(axis: Axes, y: float, line: Mapping[str, Any], scale: float) -> None:
    if line["claim"] and line["margin"]:
        axis.plot([line["margin"] * scale] * 2, [y - 0.4, y + 0.4], color=INK, lw=1, ls=":")


# --------------------------------------------------------------------------------------------------------- quality


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
                axis.plot([metric.scaled(e) for e in ends], [y, y], color=look[label].colour, **_LINES["images_"])
        left, right = _frame_of(axis, metric)
        for y, label in enumerate(labels):
            if ends := _interval(rows, label, metric.name, ""):
                low, high = (metric.scaled(e) for e in ends)
                axis.plot([low, high], [y, y], color=look[label].colour, **_LINES[""])
                _arrows(axis, y, (low, high), (left, right), look[label].colour)
        axis.set_xlim(left, right)
        axis.set_xlabel(textwrap.fill(metric.label, 28))
        axis.grid(axis="x", alpha=0.25)
    axes[0].set_yticks(range(len(labels)), labels)
    axes[0].set_ylim(len(labels) - 0.4, -0.6)
    handles: list[Any] = [
        Line2D([], [], color="#444444", marker="o", ms=7, lw=0, label="mean over runs"),
        Line2D([], [], color="#444444", marker="o", ms=3.5, lw=0, alpha=0.5, label="one run"),
    ]
    if len(rows):
        handles.append(Line2D([], [], color="#444444", label="95 %, other images", **_LINES["images_"]))
        if said := interval_of(rows):
            handles.append(Line2D([], [], color="#444444", label=f"95 %, {said}; arrow: goes on", **_LINES[""]))
    figure.legend(handles=handles, loc="outside lower left", ncols=2, frameon=False, fontsize=9)
    add_title(figure, title)
    return figure


def _frame_of(axis: Axes, metric: Metric) -> tuple[float, float]:
    """What the runs and their image intervals take up, and half as much again: what is wider goes out of the frame."""
    left, right = axis.get_xlim()
    room = (right - left) / 4
    left, right = max(left - room, 0), right + room  # no metric is below 0
    return (left, min(right, 100)) if metric.shown is PERCENT else (left, right)


_LINES: dict[str, Any] = {"images_": {"lw": 5, "alpha": 0.3, "solid_capstyle": "butt"}, "": {"lw": 1}}


def _interval(rows: Frame, label: str, metric: str, kind: str) -> tuple[float, float] | None:
    if rows.empty:
        return None
    mine = rows[(rows["row"] == label) & (rows["metric"] == metric)]
    return None if mine.empty else (float(mine[f"{kind}low"].iloc[0]), float(mine[f"{kind}high"].iloc[0]))


# ----------------------------------------------------------------------------------------------------------- front


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
            axis.plot([line["cost"]] * 2, ends, color=look[str(label)].colour, zorder=0, **_LINES[""])
            _arrows(axis, line["cost"], ends, axes[0].get_ylim(), look[str(label)].colour, upright=True)
    axes[0].set_ylabel(_AP.label)
    there = [label for label in labels if any(label in frame.index for frame in frames.values())]
    handles = [
        *_row_handles(there, look),
        Line2D([], [], color="#888888", lw=1.2, ls="--", label="Pareto front (filled)"),
        Line2D([], [], color="#444444", label="95 %, other images", **_LINES["images_"]),
    ]
    if any(frame["low"].notna().any() for frame in frames.values()):
        widest = "95 %, the widest;\nan arrow where it goes on"
        handles.append(Line2D([], [], color="#444444", label=widest, **_LINES[""]))
    figure.legend(handles=handles, loc="outside right center", frameon=False, fontsize=9)
    add_title(figure, title)
    return figure


def _front_mark(axis: Axes, line: Any, style: Style) -> None:
    """A row: filled where nothing dominates it; behind it how far other images reach."""
    ends = [_AP.scaled(line[end]) for end in ("images_low", "images_high")]
    axis.plot([line["cost"]] * 2, ends, color=style.colour, **_LINES["images_"])
    fill = style.colour if line["front"] else "white"
    axis.plot([line["cost"]], [_AP.scaled(line["AP"])], style.marker, ms=8, mfc=fill, mec=style.colour, mew=1.8)


def _row_handles(labels: Sequence[str], look: Mapping[str, Style], line: bool = False) -> list[Any]:
    return [
        Line2D(
            [], [], color=look[label].colour, marker=look[label].marker, lw=1.8 if line else 0, ms=6,
            label=textwrap.fill(label, 26),
        )
        for label in labels
    ]  # fmt: skip


# ---------------------------------------------------------------------------------------------------------- curves


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
    handles = [
        *_row_handles(labels, look, line=True),
        Patch(color="#888888", alpha=0.25, label="lowest to highest seed"),
    ]
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
    figure.legend(handles=_row_handles(labels, look, line=True), loc="outside right center", frameon=False, fontsize=9)
    add_title(figure, title)
    return figure


# ------------------------------------------------------------------------------------------------ kinds of mistakes


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
    figure.legend(handles=_row_handles(labels, look, line=True), loc="outside right center", frameon=False, fontsize=9)
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
    axis.set_xlabel(METRICS["NME"].label)
    axis.grid(alpha=0.25)
    figure.legend(handles=_row_handles(labels, look), loc="outside right center", frameon=False, fontsize=9)
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
    handles = [Patch(color=colour, label=kind) for kind, colour in ERROR_COLOURS.items()]
    figure.legend(handles=handles, loc="outside lower left", ncols=len(handles), frameon=False, fontsize=9)
    add_title(figure, title)
    return figure


# ---------------------------------------------------------------------------------------------------------- slices


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
    figure.legend(handles=_row_handles(labels, look, line=True), loc="outside right center", frameon=False, fontsize=9)
    add_title(figure, title)
    return figure


# --------------------------------------------------------------------------------------------------------- persons


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
        *_row_handles(methods, look, line=True),
        Patch(color="#888888", alpha=0.25, label="50th to 90th percentile"),
    ]
    figure.legend(handles=handles, loc="outside right center", frameon=False, fontsize=9)
    add_title(figure, title)
    return figure
