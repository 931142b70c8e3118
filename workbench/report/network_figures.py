"""Figures of what networks see. They stay as they are where the networks are gone: see `freshness`."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import Any

from workbench.evaluation.metrics import METRICS
from workbench.report.drawing import COLOURS, FAINT, INK, WIDTH, Axes, Figure, add_title, legend_line, new_figure
from workbench.report.examples import AxisProfile, Example, Person

# -------------------------------------------------------------------------------------------------------- examples


def examples_figure(shown: Sequence[Example], labels: Sequence[str], title: str) -> Figure:
    """A line per image: the ground truth, then what each row finds, with the mean OKS of the image's persons."""
    side = max(WIDTH / (len(labels) + 1), 1.15)  # many rows: a wider figure, not smaller persons
    figure = new_figure(side * (len(labels) + 1), 0.9 + (side + 0.24) * len(shown))
    grid = figure.subplots(len(shown), len(labels) + 1, squeeze=False)
    for axes, example in zip(grid, shown, strict=True):
        _picture(axes[0], example.truth, "")
        for axis, label in zip(axes[1:], labels, strict=True):
            _picture(axis, example.found[label], f"{METRICS['mOKS'].scaled(example.quality[label]):.0f} %")
    for axis, text in zip(grid[0], ["ground truth", *labels], strict=True):
        axis.set_title(textwrap.fill(text, int(side * 9), break_long_words=False), fontsize=8.5)
    add_title(figure, title)
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
    figure = new_figure(WIDTH, 1.4 + 2.9 * lines)
    grid = figure.add_gridspec(lines, columns)
    colours = COLOURS[: len(person.names)]
    mains: list[Axes] = []
    for i, label in enumerate(labels):
        main = figure.add_subplot(grid[i // columns, i % columns])
        top, right = main.inset_axes((0, 1.06, 1, 0.3)), main.inset_axes((1.06, 0, 0.3, 1))  # in line with the image
        mains.append(main)
        _person(main, top, right, person, person.rows[label], colours)
        top.set_title(textwrap.fill(label, 24), fontsize=9, fontweight="bold", loc="left")
        errors = zip(person.names, person.errors(label), strict=True)
        said = ", ".join(f"{name.replace('_', ' ')} {error:.1f}" for name, error in errors)
        main.set_xlabel(f"x, px; px off: {said}", fontsize=8)
    mains[0].set_ylabel("y, px", fontsize=8)
    handles: list[Any] = [
        *(
            legend_line(color=c, lw=2, label=name.replace("_", " "))
            for c, name in zip(colours, person.names, strict=True)
        ),
        legend_line(color=INK, ls=":", lw=1.2, label="ground truth"),
        legend_line(color=INK, marker="x", lw=0, label="prediction"),
        legend_line(color=FAINT, lw=0.8, label=f"every {EVERY}th bin"),
    ]
    figure.legend(handles=handles, loc="outside lower left", ncols=len(handles), frameon=False, fontsize=9)
    add_title(figure, title)
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
