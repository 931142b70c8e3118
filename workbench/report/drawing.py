"""What all figures share: the look of a row, intervals, legends, titles and files. It alone knows matplotlib.

A row has the same colour and marker in every figure. The first eight colours are those of Okabe and Ito, which stay
apart for the colour-blind; markers say the same once more. Legends stand outside the axes. Each mark has
a group of its own in an SVG file, so that a page can show and hide it (`Hover`).
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO, StringIO
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from workbench.report.freshness import STAMP

COLOURS = (
    "#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9", "#6E5A00", "#000000", "#882255", "#A6D854",
    "#332288", "#8C8C8C", "#F2B6A0",
)  # fmt: skip
MARKERS = "osD^vPX*<>phd"
INK, FAINT = "#222222", "#BBBBBB"
SHADES = "viridis_r"  # from low to high, the darker the higher
DPI = 110
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


def legend_patch(**look: Any) -> Patch:
    """A surface of a legend."""
    return Patch(**look)


def new_figure(width: float, height: float) -> Figure:
    return Figure(figsize=(width, height), layout="constrained")


def add_title(figure: Figure, text: str, width: float = WIDTH) -> None:
    wrapped = textwrap.fill(text[:1].upper() + text[1:], int(width * 9.5))
    figure.suptitle(wrapped, x=0.01, ha="left", fontsize=12, fontweight="bold")


def row_handles(labels: Sequence[str], look: Mapping[str, Style], line: bool = False) -> list[Any]:
    """The rows as a legend shows them; `line`: joined marks."""
    return [
        legend_line(
            color=look[label].colour, marker=look[label].marker, lw=1.8 if line else 0, ms=6,
            label=textwrap.fill(label, 26),
        )
        for label in labels
    ]  # fmt: skip


INTERVAL_LINES: dict[str, Any] = {"images_": {"lw": 5, "alpha": 0.3, "solid_capstyle": "butt"}, "": {"lw": 1}}


def arrows(
    axis: Axes, at: float, ends: Sequence[float], limits: tuple[float, float], colour: str, upright: bool = False
) -> None:
    """An arrow head at the frame where an interval goes on beyond it. `at`: its place on the other axis."""
    (low, high), (left, right) = ends, limits
    inset = 0.012 * (right - left)
    for beyond, place, head in ((low < left, left + inset, "<v"), (high > right, right - inset, ">^")):
        if beyond:
            spot = (at, place) if upright else (place, at)
            axis.plot(*spot, head[upright], ms=6, color=colour, mew=0, clip_on=False, zorder=4)


def shade(share: float) -> Any:
    """A colour for a number of 0 to 1: the darker the higher."""
    return matplotlib.colormaps[SHADES](share)


def shade_bar(figure: Figure, axis: Axes, low: float, high: float, label: str) -> None:
    """What numbers the shades stand for."""
    figure.colorbar(ScalarMappable(Normalize(low, high), SHADES), ax=axis, label=label, pad=0.01)
