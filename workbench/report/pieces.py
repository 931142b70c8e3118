"""What a page is made of: texts in Markdown and pictures, each shown by a notebook as it is."""

from __future__ import annotations

import math
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workbench.report.drawing import Figure, png

RENDERED = Path("reports/rendered")
LEFT_OUT = "left out"  # key of what a page does not show, in the data about a piece


@dataclass(frozen=True)
class Text:
    """Markdown."""

    text: str

    def _repr_markdown_(self) -> str:
        return self.text


@dataclass(frozen=True)
class LeftOut:
    """What stands in place of a piece that the record has no numbers for."""

    what: str
    why: str

    @property
    def text(self) -> str:
        return f"{self.what} left out: {self.why}."

    def _repr_mimebundle_(
        self, include: object = None, exclude: object = None
    ) -> tuple[dict[str, str], dict[str, Any]]:
        return {"text/markdown": f"*{self.text}*"}, {LEFT_OUT: f"{self.what}: {self.why}."}


@dataclass(frozen=True)
class PagePicture:
    """A PNG file; `title` stands for it where it can not be seen."""

    png: bytes
    title: str

    def _repr_mimebundle_(
        self, include: object = None, exclude: object = None
    ) -> tuple[dict[str, str], dict[str, Any]]:
        data = {"image/png": b64encode(self.png).decode(), "text/plain": self.title}
        return data, {"image/png": {"alt": self.title}}


@dataclass(frozen=True)
class LivePicture:
    """A picture, and the same as a piece of HTML that answers the pointer."""

    picture: PagePicture
    html: str

    def _repr_mimebundle_(
        self, include: object = None, exclude: object = None
    ) -> tuple[dict[str, str], dict[str, Any]]:
        data, metadata = self.picture._repr_mimebundle_()
        return {**data, "text/html": self.html}, metadata


Piece = Text | LeftOut | PagePicture | LivePicture
NOT_RECORDED = "the record does not hold them; write it anew where the jobs are"


def picture(figure: Figure, title: str, stamp: str = "") -> PagePicture:
    """The figure as a piece, with the stamp inside its file."""
    return PagePicture(png(figure, stamp), title)


def left_out(what: str, why: str) -> LeftOut:
    """That something is not shown, and why."""
    return LeftOut(what, why)


def paragraphs(*parts: str) -> Text:
    """Those parts that say something, one below the other."""
    return Text("\n\n".join(part for part in parts if part))


def table_text(heads: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """A table in Markdown."""
    every = [heads, ["---"] * len(heads), *lines]
    return "\n".join(f"| {' | '.join(cell.replace('|', '/') for cell in line)} |" for line in every)


def number(value: float, digits: int) -> str:
    """With so many digits after the point; nothing for nan."""
    return "" if math.isnan(value) else f"{value:.{digits}f}"


def sentence(text: str) -> str:
    """The text with one full stop at its end."""
    return text.rstrip(".") + "."
