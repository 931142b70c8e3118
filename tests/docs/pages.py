"""The written pages of the project and what stands in them: code blocks, commands and links."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
DOCS = (README, *sorted((ROOT / "docs").glob("*.md")))
PAGES = (*DOCS, ROOT / "reports/LOG.md")
_FENCED = re.compile(r"^```([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_INLINE = re.compile(r"`([^`\n]+)`")
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")


class Block(NamedTuple):
    """A fenced block: its page, the word behind the fence, and its text."""

    page: Path
    language: str
    text: str


def blocks(page: Path) -> list[Block]:
    return [Block(page, *found) for found in _FENCED.findall(page.read_text("utf-8"))]


def prose(page: Path) -> str:
    """A page without its fenced blocks."""
    return _FENCED.sub("", page.read_text("utf-8"))


def inline_code(page: Path) -> list[str]:
    """What stands in backquotes within the prose."""
    return _INLINE.findall(prose(page))


def links(page: Path) -> list[str]:
    """The targets of all links and pictures."""
    return _LINK.findall(_INLINE.sub("", prose(page)))


def anchors(page: Path) -> set[str]:
    """The names by which a page's headings can be linked, as GitHub makes them."""
    return set(_anchors(prose(page)))


def _anchors(text: str) -> Iterator[str]:
    for heading in re.findall(r"^#+ (.*)$", text, re.MULTILINE):
        yield re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def broken_links(page: Path) -> list[str]:
    """Links that lead nowhere; an address outside is looked at only for its form."""
    return [target for target in links(page) if not _leads_somewhere(page, target)]


def _leads_somewhere(page: Path, target: str) -> bool:
    if "://" in target:
        return re.fullmatch(r"https://[\w.-]+\.\w+(/\S*)?", target) is not None
    path, _, anchor = target.partition("#")
    file = page.parent / path if path else page
    return file.exists() and (not anchor or anchor in anchors(file))
