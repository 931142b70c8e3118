"""Words that come from files and from people, before they reach a terminal, a table or a page.

A label, the name of a file or a tag of somebody else's job may hold codes that a terminal obeys, markup that a browser
runs, or a formula that a spreadsheet computes. What a study says of itself is refused where it does; what is only shown
is shown as the characters that it is made of.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from workbench.core.errors import Refused, printable

LONGEST_LABEL, LONGEST_TEXT = 500, 5_000  # characters
# Tags that our own pages hold; whatever else looks like one stays text.
_OURS = r'(?:/?b|b class="\w+"|br|!-- made of: [^<>]*--)>'
_MARKUP = re.compile(rf"<(?=[A-Za-z/!?])(?!{_OURS})")
_PICTURE = re.compile(r"!(?=\[)")
_LINK = re.compile(r"(?<=\])\((?!https?://|#|\.{1,2}/)")  # to another kind of place than our pages lead to
_ADDRESS = re.compile(r"(?<=\]):")  # of a link, on a line of its own
_FORMULA = re.compile(r"""[=@\t\r]|[+-](?=.*["|!])""", re.DOTALL)


def check_label(text: str, where: str) -> None:
    """Refuses what can not be the name of a line in every table: empty, long, of several lines, a formula.

    Labels may begin with a sign, as "+ MLE loss": what a spreadsheet makes of that does nothing.

    Raises:
        Refused: it names `where`.
    """
    _check_length(text, where, LONGEST_LABEL)
    if not text.strip():
        raise Refused(f"{where}: it is empty; give it a word")
    if "\n" in text:
        raise Refused(f"{where}: {text!r} has several lines; expected one")
    if _FORMULA.match(text):
        raise Refused(f"{where}: a spreadsheet takes {text!r} for a formula; begin with a letter, or with '+ ' or '- '")
    check_text(text, where)


def check_text(text: str, where: str) -> None:
    """Refuses a text that is too long, or that holds characters which no terminal and no file can show.

    Raises:
        Refused: it names `where`.
    """
    _check_length(text, where, LONGEST_TEXT)
    if printable(text) != text:
        raise Refused(f"{where}: {text!r} holds characters that can not be shown; leave them out")


def _check_length(text: str, where: str, most: int) -> None:
    if len(text) > most:
        raise Refused(f"{where}: {len(text):,} characters, it begins with {text[:20]!r}; at most {most:,}")


def cell(text: str) -> str:
    """A text as a cell of a CSV file: a formula gets an apostrophe before it, as spreadsheets themselves write it."""
    return f"'{text}" if _FORMULA.match(text) else text


def cells(values: Iterable[Any]) -> list[Any]:
    """Values of a CSV file, those that are text as `cell` gives them."""
    return [cell(value) if isinstance(value, str) else value for value in values]


def harmless_markdown(text: str) -> str:
    """Markdown without markup and links but those of our own pages: others are shown as they were typed."""
    # as entities: a backslash would depend on what stands before it
    text = _MARKUP.sub("&lt;", printable(text))
    for what, entity in ((_PICTURE, "&#33;"), (_LINK, "&#40;"), (_ADDRESS, "&#58;")):
        text = what.sub(entity, text)
    return text
