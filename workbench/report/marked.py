"""Parts of Markdown files that are made from records: what stands between `<!-- NAME -->` and `<!-- /NAME -->`."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from workbench.core.errors import Refused
from workbench.core.files import write_whole


def with_part(text: str, name: str, part: str) -> str:
    """A Markdown text with a part between its two marks.

    Raises:
        Refused: the text does not hold both marks once, in their order.
    """
    begin, end = f"<!-- {name} -->", f"<!-- /{name} -->"
    before, first, rest = text.partition(begin + "\n")
    _, last, after = rest.partition(end)
    if not (first and last) or text.count(begin) > 1 or text.count(end) > 1:
        raise Refused(f"no place for the {name}: expected one line {begin} and one line {end} below it")
    return f"{before}{begin}\n\n{part}\n\n{end}{after}"


def renew(name: str, make: Callable[[], str], words: Sequence[str]) -> int:
    """Renews a part of each named file, from the records of the current folder. Gives the exit code."""
    try:
        for word in words:
            file = Path(word)
            text = with_part(file.read_text("utf-8"), name, make())
            with write_whole(file) as part:
                part.write_text(text, "utf-8")
    except (Refused, OSError) as error:
        print(f"{name}: {error}", file=sys.stderr)
        return 2
    return 0
