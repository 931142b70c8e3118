"""`reports/rendered/index.html`: one line per page, made from what the pages say of themselves."""

from __future__ import annotations

import re
from dataclasses import dataclass
from html import escape, unescape
from pathlib import Path

from workbench.core.files import write_whole

NAME = "index.html"
_HEAD = '<meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>Studies</title>'
_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; color: #222; max-width: 1120px; margin: 2rem auto; padding: 0 1.2rem; }
h2 { font-size: 1.15rem; margin: 1.6rem 0 0; } ul { margin: 0.3rem 0; } li { margin: 0.35rem 0; }
"""


@dataclass(frozen=True)
class PageSummary:
    """A page: its file, the study's question, the file's stem and the conclusion."""

    file: str
    question: str
    stem: str
    conclusion: str


def summary_of(path: Path) -> PageSummary:
    """What a page says of itself in its head."""
    text = path.read_text("utf-8")
    title, said = (
        re.search(pattern, text, re.DOTALL)
        for pattern in (r"<title>(.*?)</title>", r'<meta name="description" content="(.*?)">')
    )
    question, conclusion = (unescape(found[1]) if found else "" for found in (title, said))
    return PageSummary(path.name, question, path.stem, conclusion)


def index_page(folder: Path) -> str:
    """The index of all pages in a folder, study by study: pages of one question belong together."""
    pages = [summary_of(path) for path in sorted(folder.glob("*.html")) if path.name != NAME]
    parts = []
    for question in dict.fromkeys(page.question for page in pages):
        lines = [_line(page) for page in pages if page.question == question]
        parts.append(f"<h2>{escape(question)}</h2>\n<ul>\n{''.join(lines)}</ul>")
    body = "\n".join(parts)
    return (
        f"<!doctype html>\n<html lang=en><head>{_HEAD}<style>{_STYLE}</style></head><body>\n"
        f"<h1>What the studies found</h1>\n{body}\n</body></html>\n"
    )


def _line(page: PageSummary) -> str:
    return f'<li><a href="{escape(page.file)}">{escape(page.stem)}</a>: {escape(page.conclusion)}</li>\n'


def write_index(folder: Path) -> Path:
    """Writes the index of a folder of pages."""
    path = folder / NAME
    with write_whole(path) as part:
        part.write_text(index_page(folder), "utf-8")
    return path
