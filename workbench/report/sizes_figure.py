"""The picture of settings of one trained network: AP over time and over multiply-adds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from workbench.evaluation.metrics import METRICS
from workbench.experiments.sizes import SizeReading, SizesMeasured
from workbench.report.drawing import (
    MARKERS,
    WIDTH,
    Axes,
    Figure,
    add_title,
    legend_line,
    new_figure,
    styles,
)
from workbench.report.frames import Frame
from workbench.report.sizes_table import FRONTS, sizes_finding, sizes_frame

_AP = METRICS["AP"]
_TICKS = 4  # at least, where there are so many round numbers
_SPREAD = 0.03  # of a cost: how far marks of the same multiply-adds stand apart


def sizes_figure(found: SizesMeasured) -> Figure:
    """AP with the paired interval of its difference to the own setting, whose AP is the line across.

    A colour is runtime and precision, a marker size and bins; what nothing dominates is filled and joined.
    """
    figure, frame = new_figure(WIDTH, 5.2), sizes_frame(found)
    forms = list(dict.fromkeys(one.setting.form for one in found.readings))
    inputs = list(dict.fromkeys(_input(one) for one in found.readings))
    colours = {form: style.colour for form, style in styles(forms).items()}
    markers = {name: MARKERS[i % len(MARKERS)] for i, name in enumerate(sorted(inputs, key=_by_number))}
    axes = figure.subplots(1, len(FRONTS), sharey=True)
    for axis, (cost, column) in zip(axes, FRONTS.items(), strict=True):
        _panel(axis, found, frame, cost, column, colours, markers)
    axes[0].set_xlabel(f"times the own setting's latency, {found.threads} thread{'s' * (found.threads > 1)}")
    axes[1].set_xlabel(f"GFLOPs, {found.persons} persons found")
    axes[0].set_ylabel(_AP.label)
    figure.legend(handles=_handles(colours, markers), loc="outside right center", frameon=False, fontsize=9)
    add_title(figure, sizes_finding(found))
    return figure


def _panel(
    axis: Axes,
    found: SizesMeasured,
    frame: Frame,
    cost: str,
    column: str,
    colours: Mapping[str, str],
    markers: Mapping[str, str],
) -> None:
    costs = frame[column].tolist()
    places = _apart(costs, list(colours), found.readings) if cost == "gflops" else costs
    front = frame.assign(place=places)[frame[f"front_{cost}"]].sort_values("place")
    axis.step(front["place"], _AP.scaled(front["AP"]), where="post", color="#888888", lw=1.2, ls="--", zorder=1)
    axis.axhline(_AP.scaled(found.own.values["AP"]), color="#BBBBBB", lw=1, zorder=0)
    for one, x, filled in zip(found.readings, places, frame[f"front_{cost}"], strict=True):
        colour, marker = colours[one.setting.form], markers[_input(one)]
        own, seen = found.own.values["AP"], one.differences["AP"]
        if one is not found.own:
            axis.plot([x, x], [_AP.scaled(own + end) for end in (seen.low, seen.high)], color=colour, lw=1.1, zorder=2)
        face = colour if filled else "white"
        axis.plot([x], [_AP.scaled(one.values["AP"])], marker, ms=7, mfc=face, mec=colour, mew=1.6, zorder=3)
    axis.set_xscale("log")
    axis.margins(x=0.1, y=0.08)
    axis.grid(alpha=0.25)
    _plain_ticks(axis, costs)


def _apart(costs: Sequence[float], forms: Sequence[str], readings: Sequence[SizeReading]) -> list[float]:
    """Places beside each other for what costs the same: precision and runtime change no multiply-add."""
    middle = (len(forms) - 1) / 2
    return [
        cost * (1 + _SPREAD * (forms.index(one.setting.form) - middle))
        for cost, one in zip(costs, readings, strict=True)
    ]


def _plain_ticks(axis: Axes, values: Sequence[float]) -> None:
    """Round numbers on a logarithmic axis, written out: of a coarse ruler, or of a fine one where few fall on it."""
    low, high, ticks = min(values) * 0.95, max(values) * 1.05, list[float]()
    for digits in ((1, 2, 5), (1, 1.5, 2, 3, 4, 5, 7), (1, 1.2, 1.4, 1.6, 1.8, 2, 2.5, 3, 3.5, 4, 4.5, 5, 6, 7, 8, 9)):
        steps = [digit * 10.0**power for power in range(-4, 5) for digit in digits]
        if len(ticks := [step for step in steps if low <= step <= high]) >= _TICKS:
            break
    axis.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axis.minorticks_off()


def _input(one: SizeReading) -> str:
    return ", ".join(part for part in (one.setting.pixels, one.setting.grid and f"{one.setting.grid} bins") if part)


def _by_number(text: str) -> tuple[int, ...]:
    return tuple(int(word) for word in "".join(c if c.isdigit() else " " for c in text).split())


def _handles(colours: Mapping[str, str], markers: Mapping[str, str]) -> list[Any]:
    return [
        *(legend_line(color=colour, marker="s", lw=0, ms=7, label=form) for form, colour in colours.items()),
        *(legend_line(color="#444444", marker=mark, lw=0, ms=6, mfc="white", label=t) for t, mark in markers.items()),
        legend_line(color="#888888", lw=1.2, ls="--", label="front (filled)"),
        legend_line(color="#BBBBBB", lw=1, label="AP of the own setting"),
        legend_line(color="#444444", lw=1.1, label="95 % of the difference\nto it, over images"),
    ]
