"""The figures of a page, from frames: nothing is counted here but places on paper.

A row has the same colour and marker in every figure. Colours are those of Okabe and Ito, which stay apart for the
colour-blind; markers say the same once more. Legends stand outside the axes.
"""

from __future__ import annotations

import math
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from workbench.evaluation.metrics import METRICS, PERCENT, with_intervals
from workbench.report.examples import AxisProfile, Example, Person
from workbench.report.findings import latency_text
from workbench.report.frames import Frame
from workbench.report.tables import STATES, interval_of

COLOURS = ("#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9", "#6E5A00", "#000000")
MARKERS = "osD^vPX*"
VERDICTS = {"holds": "#0072B2", "fails": "#D55E00", "open": "#6B6B6B", "": "#6B6B6B"}
INK, FAINT = "#222222", "#BBBBBB"
DPI = 110
_AP = METRICS["AP"]
WIDTH = 10.0  # inches of a whole-page figure
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
    """A look for each row; after eight rows colours come again with other markers."""
    shift = len(COLOURS)
    return {
        label: Style(COLOURS[i % shift], MARKERS[(i + i // shift) % len(MARKERS)]) for i, label in enumerate(labels)
    }


def png(figure: Figure) -> bytes:
    """The figure as a PNG file."""
    file = BytesIO()
    figure.savefig(file, format="png", dpi=DPI, facecolor="white", pil_kwargs={"optimize": True})
    return file.getvalue()


def _figure(width: float, height: float) -> Figure:
    return Figure(figsize=(width, height), layout="constrained")


def _title(figure: Figure, text: str, width: float = WIDTH) -> None:
    wrapped = textwrap.fill(text[:1].upper() + text[1:], int(width * 9.5))
    figure.suptitle(wrapped, x=0.01, ha="left", fontsize=12, fontweight="bold")


def _unit(metric: str) -> tuple[float, str]:
    """By what a metric is multiplied to be shown, and its unit."""
    shown = METRICS[metric].shown
    return shown.factor, "points" if shown is PERCENT else shown.unit


# ---------------------------------------------------------------------------------------------------------- forest


def forest_figure(frame: Frame, title: str) -> Figure:
    """Differences with both intervals; one panel per metric for the claims, one below it for the other comparisons.

    They have scales of their own: a row far off would leave nothing to see of a claim about one point.
    """
    keys = dict.fromkeys(zip(frame["metric"], frame["claim"] == "", strict=True))
    parts = {key: frame[(frame["metric"] == key[0]) & ((frame["claim"] == "") == key[1])] for key in sorted(keys)}
    groups = [(metric, _lines(part)) for (metric, _), part in parts.items()]
    counts = [len(lines) for _, lines in groups]
    figure = _figure(WIDTH, 1.5 + 0.27 * sum(counts) + 0.6 * len(counts))
    axes = figure.subplots(len(counts), 1, squeeze=False, height_ratios=[n + 1 for n in counts])[:, 0]
    for axis, (metric, lines) in zip(axes, groups, strict=True):
        _forest_panel(axis, lines, metric)
    unit = "trunks" if (frame["trunk"] != "").any() else "seeds"
    handles: list[Any] = [
        Line2D([], [], color=INK, lw=6, alpha=0.3, label="95 % over images: other pictures, these networks"),
        Line2D([], [], color=INK, lw=2.2, label=f"95 % over {unit}: other {unit}"),
        Line2D(
            [], [], color=INK, lw=0.7, marker="|", label="the widest; a verdict must also stand after Holm's correction"
        ),
        *(Line2D([], [], color=VERDICTS[v], marker="o", lw=0, label=f"claim {v}") for v in _states(frame)),
    ]
    figure.legend(handles=handles, loc="outside lower left", ncols=2, frameon=False, fontsize=9)
    _title(figure, title)
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


def _forest_panel(axis: Axes, lines: Sequence[tuple[str, Mapping[str, Any]]], metric: str) -> None:
    scale, unit = _unit(metric)
    claims = any(line.get("claim") for _, line in lines)
    for y, (_, line) in enumerate(lines):
        if line:
            _forest_line(axis, y, line, scale)
            _margin(axis, y, line, scale)
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


def _forest_line(axis: Axes, y: float, line: Mapping[str, Any], scale: float) -> None:
    whole = not line["trunk"]
    colour = VERDICTS[line["verdict"]] if line["claim"] else "#444444"
    wide, thin, size = (7, 2.2, 6.5) if whole else (4, 1.2, 3.5)
    for kind, width, alpha in (("images_", wide, 0.3), ("seeds_", thin, 1.0), ("", 0.7, 1.0)):
        ends = [line.get(f"{kind}{end}", math.nan) * scale for end in ("low", "high")]
        caps = {"marker": "|", "ms": size} if not kind else {}
        axis.plot(ends, [y, y], lw=width, alpha=alpha, color=colour, solid_capstyle="butt", zorder=2, **caps)
    axis.plot([line["mean"] * scale], [y], "o", ms=size, color=colour, zorder=3)


def _margin(axis: Axes, y: float, line: Mapping[str, Any], scale: float) -> None:
    if line["claim"] and line["margin"]:
        axis.plot([line["margin"] * scale] * 2, [y - 0.4, y + 0.4], color=INK, lw=1, ls=":")


# --------------------------------------------------------------------------------------------------------- quality


def quality_figure(runs: Frame, rows: Frame, labels: Sequence[str], title: str) -> Figure:
    """Metrics beside each other: every run as a dot, the mean with its intervals above."""
    figure = _figure(WIDTH, 1.8 + 0.38 * len(labels))
    look = styles(labels)
    panels = [metric for metric in with_intervals() if metric.name in runs]
    axes = figure.subplots(1, len(panels), sharey=True, squeeze=False)[0]
    for axis, metric in zip(axes, panels, strict=True):
        for y, label in enumerate(labels):
            values = metric.scaled(runs.loc[runs["row"] == label, metric.name])
            axis.plot(values, [y + 0.2] * len(values), "o", ms=3.5, color=look[label].colour, alpha=0.5, mew=0)
            axis.plot([values.mean()], [y], look[label].marker, ms=7, color=look[label].colour)
            for kind, line in _LINES.items():
                if ends := _interval(rows, label, metric.name, kind):
                    axis.plot([metric.scaled(e) for e in ends], [y, y], color=look[label].colour, **line)
        if metric.shown is PERCENT:
            left, right = axis.get_xlim()
            axis.set_xlim(max(left, 0), min(right, 100))
        axis.set_xlabel(metric.label)
        axis.grid(axis="x", alpha=0.25)
    axes[0].set_yticks(range(len(labels)), labels)
    axes[0].set_ylim(len(labels) - 0.4, -0.6)
    handles: list[Any] = [
        Line2D([], [], color="#444444", marker="o", ms=7, lw=0, label="mean over runs"),
        Line2D([], [], color="#444444", marker="o", ms=3.5, lw=0, alpha=0.5, label="one run"),
    ]
    if len(rows):
        handles.append(Line2D([], [], color="#444444", label="95 %, other images", **_LINES["images_"]))
        handles.append(Line2D([], [], color="#444444", label=f"95 %, {interval_of(runs, rows)}", **_LINES[""]))
    figure.legend(handles=handles, loc="outside lower left", ncols=2, frameon=False, fontsize=9)
    _title(figure, title)
    return figure


_LINES: dict[str, Any] = {"images_": {"lw": 5, "alpha": 0.3, "solid_capstyle": "butt"}, "": {"lw": 1}}


def _interval(rows: Frame, label: str, metric: str, kind: str) -> tuple[float, float] | None:
    if rows.empty:
        return None
    mine = rows[(rows["row"] == label) & (rows["metric"] == metric)]
    return None if mine.empty else (float(mine[f"{kind}low"].iloc[0]), float(mine[f"{kind}high"].iloc[0]))


# ----------------------------------------------------------------------------------------------------------- front


def fronts_figure(frames: Mapping[str, Frame], labels: Sequence[str], title: str) -> Figure:
    """AP against each cost, by its text; rows on the Pareto front are filled and joined."""
    figure = _figure(WIDTH, 4.6)
    look = styles(labels)
    axes = figure.subplots(1, len(frames), sharey=True, squeeze=False)[0]
    for axis, (cost, frame) in zip(axes, frames.items(), strict=True):
        front = frame[frame["front"]].sort_values("cost")
        axis.step(front["cost"], _AP.scaled(front["AP"]), where="post", color="#888888", lw=1.2, ls="--", zorder=1)
        for label, line in frame.iterrows():
            style = look[str(label)]
            ends = [_AP.scaled(line[end]) for end in ("images_low", "images_high")]
            axis.plot([line["cost"]] * 2, ends, color=style.colour, **_LINES["images_"])
            fill = style.colour if line["front"] else "white"
            axis.plot([line["cost"]], [_AP.scaled(line["AP"])], style.marker, ms=8, mfc=fill, mec=style.colour, mew=1.8)
        axis.set_xlabel(textwrap.fill(cost, 48))
        axis.margins(x=0.12, y=0.12)
        axis.grid(alpha=0.25)
    axes[0].set_ylim(axes[0].get_ylim())  # the widest intervals would leave nothing to see of the front
    for axis, frame in zip(axes, frames.values(), strict=True):
        for label, line in frame.iterrows():
            ends = [_AP.scaled(line[end]) for end in ("low", "high")]
            axis.plot([line["cost"]] * 2, ends, color=look[str(label)].colour, zorder=0, **_LINES[""])
    axes[0].set_ylabel(_AP.label)
    there = [label for label in labels if any(label in frame.index for frame in frames.values())]
    handles = [
        *_row_handles(there, look),
        Line2D([], [], color="#888888", lw=1.2, ls="--", label="Pareto front (filled)"),
        Line2D([], [], color="#444444", label="95 %, other images", **_LINES["images_"]),
        Line2D([], [], color="#444444", label="95 %, the widest; the\nframe may cut it off", **_LINES[""]),
    ]
    figure.legend(handles=handles, loc="outside right center", frameon=False, fontsize=9)
    _title(figure, title)
    return figure


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
    figure = _figure(WIDTH, 4.6)
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
    _title(figure, title)
    return figure


# ---------------------------------------------------------------------------------------------------------- slices


def slices_figure(
    means: Mapping[str, Frame], persons: Mapping[str, Mapping[str, int]], labels: Sequence[str], title: str
) -> Figure:
    """AP by size of persons and by crowding; under each slice the number of its persons."""
    words = {"size": "√area of the image's median person, px", "crowding": "crowd index of the image"}
    figure = _figure(WIDTH, 4.8)
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
    _title(figure, title)
    return figure


# --------------------------------------------------------------------------------------------------------- persons


def persons_figure(frame: Frame, title: str) -> Figure:
    """Latency against the number of persons in the image: median, and up to the 90th percentile."""
    figure = _figure(WIDTH, 5.2)
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
    _title(figure, title)
    return figure


# -------------------------------------------------------------------------------------------------------- examples


def examples_figure(shown: Sequence[Example], labels: Sequence[str], title: str) -> Figure:
    """A line per image: what is there, then what each row finds, with the mean OKS of the image's persons."""
    side = max(WIDTH / (len(labels) + 1), 1.15)  # many rows: a wider figure, not smaller persons
    figure = _figure(side * (len(labels) + 1), 0.9 + (side + 0.24) * len(shown))
    grid = figure.subplots(len(shown), len(labels) + 1, squeeze=False)
    for axes, example in zip(grid, shown, strict=True):
        _picture(axes[0], example.truth, "")
        for axis, label in zip(axes[1:], labels, strict=True):
            _picture(axis, example.found[label], f"{METRICS['mOKS'].scaled(example.quality[label]):.0f} %")
    for axis, text in zip(grid[0], ["what is there", *labels], strict=True):
        axis.set_title(textwrap.fill(text, int(side * 9), break_long_words=False), fontsize=8.5)
    _title(figure, title)
    return figure


def _picture(axis: Axes, image: Any, text: str) -> None:
    axis.imshow(image[..., ::-1], interpolation="antialiased")  # lines of one pixel vanish under "nearest"
    axis.set_xticks([])
    axis.set_yticks([])
    axis.set_xlabel(text, fontsize=8.5, labelpad=2)
    for spine in axis.spines.values():
        spine.set_visible(False)


EVERY = 4  # bins are finer than pixels: all of them would hide the person


def heatmaps_figure(person: Person, labels: Sequence[str], title: str) -> Figure:
    """A panel per row: the person with the row's bins as a grid, above it the x heatmaps, beside it the y heatmaps."""
    columns = min(4, len(labels))
    lines = -(-len(labels) // columns)
    figure = _figure(WIDTH, 1.4 + 2.9 * lines)
    grid = figure.add_gridspec(lines, columns)
    colours = COLOURS[: len(person.names)]
    mains: list[Axes] = []
    for i, label in enumerate(labels):
        main = figure.add_subplot(grid[i // columns, i % columns])
        top, right = main.inset_axes((0, 1.06, 1, 0.3)), main.inset_axes((1.06, 0, 0.3, 1))  # in line with the image
        mains.append(main)
        _person(main, top, right, person, person.rows[label], colours)
        top.set_title(textwrap.fill(label, 24), fontsize=9, fontweight="bold", loc="left")
        error = ", ".join(f"{e:.1f}" for e in person.errors(label))
        main.set_xlabel(f"x, px; error {error} px", fontsize=8)
    mains[0].set_ylabel("y, px", fontsize=8)
    handles: list[Any] = [
        *(
            Line2D([], [], color=c, lw=2, label=name.replace("_", " "))
            for c, name in zip(colours, person.names, strict=True)
        ),
        Line2D([], [], color=INK, ls=":", lw=1.2, label="true place"),
        Line2D([], [], color=INK, marker="x", lw=0, label="answer"),
        Line2D([], [], color=FAINT, lw=0.8, label=f"every {EVERY}th bin"),
    ]
    figure.legend(handles=handles, loc="outside lower left", ncols=len(handles), frameon=False, fontsize=9)
    _title(figure, title)
    return figure


def _person(main: Axes, top: Axes, right: Axes, person: Person, profile: AxisProfile, colours: Sequence[str]) -> None:
    left, upper, end, lower = person.window
    main.imshow(person.image[..., ::-1], interpolation="nearest")
    for bins, line in ((profile.x_bins, main.axvline), (profile.y_bins, main.axhline)):
        for place in [] if bins is None else bins[::EVERY]:
            line(place, color="white", lw=0.35, alpha=0.55)
    for k, colour in enumerate(colours):
        x, y = person.truth[k]
        main.axvline(x, color=colour, lw=0.9, ls=":")
        main.axhline(y, color=colour, lw=0.9, ls=":")
        main.plot(*profile.keypoints[k], "x", color=colour, ms=8, mew=2)
        top.axvline(x, color=colour, lw=0.9, ls=":")
        right.axhline(y, color=colour, lw=0.9, ls=":")
        if profile.x_bins is not None and profile.x_prob is not None:
            top.fill_between(
                profile.x_bins, profile.x_prob[k] / profile.x_prob[k].max(), color=colour, alpha=0.45, lw=0, step="mid"
            )
        if profile.y_bins is not None and profile.y_prob is not None:
            right.fill_betweenx(
                profile.y_bins, profile.y_prob[k] / profile.y_prob[k].max(), color=colour, alpha=0.45, lw=0, step="mid"
            )
    main.set_xlim(left, end)
    main.set_ylim(lower, upper)
    main.tick_params(labelsize=7)
    top.set_xlim(left, end)
    right.set_ylim(lower, upper)
    for axis in (top, right):
        axis.set_xticks([])
        axis.set_yticks([])
        for spine in axis.spines.values():
            spine.set_visible(False)
    top.set_ylim(0, 1.05)
    right.set_xlim(0, 1.05)
    if profile.x_bins is None:
        top.text(0.5, 0.35, "no 1-D heatmap", transform=top.transAxes, ha="center", fontsize=8, color="#777777")
