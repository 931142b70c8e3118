"""The figure of differences: every comparison of two rows with its intervals, claims first."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

from workbench.evaluation.metrics import METRICS, PERCENT
from workbench.report.drawing import INK, WIDTH, Axes, Figure, Hover, add_title, arrows, legend_line, new_figure
from workbench.report.frames import Frame
from workbench.report.verdict_frames import STATES

VERDICTS = {"holds": "#0072B2", "fails": "#D55E00", "open": "#6B6B6B", "": "#6B6B6B"}
LONG = 72  # letters beside a line
SWAMPED = 3.0  # times the largest difference: further out an interval is cut off


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
        legend_line(color=INK, lw=6, alpha=0.3, label="95 % over images: other pictures, these networks"),
        legend_line(color=INK, lw=2.2, label=f"95 % over {unit}: other {unit}"),
        legend_line(
            color=INK,
            lw=0.7,
            marker="|",
            label="the widest, an arrow where it goes on; a verdict must stand after Holm's correction",
        ),
        *(legend_line(color=VERDICTS[v], marker="o", lw=0, label=f"claim {v}") for v in _states(frame)),
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
        whole = f"{line['claim']}:  {_difference(line['row'], line['than'])}" if line["claim"] else f"{line['row']}"
        lines.append((f"on trunk {line['trunk']}" if line["trunk"] else whole, line))
    return lines


def _difference(row: str, than: str) -> str:
    """The names of two rows; of long ones, as networks of a search have, what only one of the two says."""
    parts, others = row.split(", "), than.split(", ")
    own, theirs = [part for part in parts if part not in others], [part for part in others if part not in parts]
    if own and theirs and len(row) + len(than) > LONG:
        row, than = ", ".join(own), ", ".join(theirs)
    return f"{row} − {than}"


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
    axis.set_yticks(range(len(lines)), [textwrap.shorten(text, LONG, placeholder=" …") for text, _ in lines])
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
    arrows(axis, y, [line.get(end, math.nan) * scale for end in ("low", "high")], (-reach, reach), colour)
    axis.plot([line["mean"] * scale], [y], "o", ms=size, color=colour, zorder=3)


def _margin(axis: Axes, y: float, line: Mapping[str, Any], scale: float) -> None:
    if line["claim"] and line["margin"]:
        axis.plot([line["margin"] * scale] * 2, [y - 0.4, y + 0.4], color=INK, lw=1, ls=":")


def _unit(metric: str) -> tuple[float, str]:
    """By what a metric is multiplied to be shown, and its unit."""
    shown = METRICS[metric].shown
    return shown.factor, "points" if shown is PERCENT else shown.unit
