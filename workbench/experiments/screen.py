"""The terminal, as studies and searches write to it."""

from __future__ import annotations

from rich.console import Console
from rich.text import Text

from workbench.core.errors import printable

WIDE = 160  # columns of a table that goes into a file


def console() -> Console:
    """The terminal, or a wide page where the output goes into a file."""
    found = Console(highlight=False)
    return found if found.is_terminal else Console(highlight=False, width=WIDE)


def say(text: str) -> None:
    """One line. It may quote the record of somebody else's job."""
    console().print(Text(printable(text)))
