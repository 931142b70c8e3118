"""Words of files and people: refused as labels, harmless as cells and as Markdown."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.properties import quickly, words
from workbench.core.errors import Refused, printable
from workbench.core.words import cell, check_label, check_text, harmless_markdown

LIVE = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "</td><svg/onload=alert(1)>",
    "<!--",
    "<?php",
    '<b class="x" onclick="alert(1)">',
    "<B CLASS=x onmouseover=a>",
    "[go](javascript:alert(1))",
    "[go](javascript&#58;alert(1))",
    "[go]( javascript:alert(1))",
    "[go](data:text/html,x)",
    "[go](//elsewhere.example)",
    "<javascript:alert(1)>",
    "![seen](http://127.0.0.1:9/counted.png)",
    "[go]\n\n[go]: javascript:alert(1)",
    "[go\\](javascript:alert(1))",
    "[go][a]\n\n[a\n]: javascript:alert(1)",
]
OURS = [
    '<b class="holds">holds</b>',
    "a<br>b",
    "<b>x</b>",
    "p < 0.05, a <= b, x<3",
    "[seed 0](http://127.0.0.1:5000/#/experiments/1)",
    "[page](./ablate_dcc.md) and [up](../x) and [here](#claims)",
    "| a | b |\n| --- | --- |",
]


@pytest.mark.parametrize("text", LIVE)
def test_markup_and_links_of_others_are_text(text: str) -> None:
    shown = _html(harmless_markdown(text))
    assert not _live(shown), shown


@pytest.mark.parametrize("text", OURS)
def test_what_our_own_pages_hold_stays(text: str) -> None:
    assert harmless_markdown(text) == text


@quickly
@given(st.text(alphabet="<>/!?[]()ab :#&;\"'`\\\n.-", max_size=30))
def test_no_text_becomes_an_element(text: str) -> None:
    shown = _html(harmless_markdown(text))
    assert not _live(shown), shown


def _live(html: str) -> list[str]:
    """Elements that no Markdown of ours has, attributes, and links to other places than pages have."""
    kinds = r"/?(?:p|em|strong|code|pre|b|br|hr|ul|ol|li|blockquote|h[1-6]|/|div|span|table|thead|tbody|tr|t[hd])\b"
    ours = rf'<{kinds}(?: (?:id|class|start)="[^"]*")*/?>|<a (?:class="anchor-link" )?href="(?:#|https?://)[^"]*">|</a>'
    return re.findall(r"<[^&\s].*", re.sub(ours, "", html))


def _html(text: str) -> str:
    """As nbconvert makes a page of it."""
    from nbconvert.filters.markdown_mistune import markdown2html_mistune

    return markdown2html_mistune(text)


@pytest.mark.parametrize(
    "label", ["a", "+ MLE loss (RTMO)", "- cell position", "größer 日本 🙂", "-1", "P3+P4", "a|b", 'the "old" one']
)
def test_a_label_is_a_line_of_words(label: str) -> None:
    check_label(label, "x")
    assert cell(label) == label


@pytest.mark.parametrize(
    "label",
    ["", " ", "a\nb", "=1+1", "@x", "\tx", '+HYPERLINK("x")', "- cmd|' /C calc'!A0", "\x1b[1m", "\u202ea", "a" * 501],
)
def test_other_labels_are_refused_by_their_place(label: str) -> None:
    with pytest.raises(Refused, match=r"^Row\.label: "):
        check_label(label, "Row.label")


def test_a_text_has_an_end() -> None:
    check_text("of\nseveral lines", "x")
    with pytest.raises(Refused, match=r"x: 5,001 characters, it begins with 'aaaa"):
        check_text("a" * 5001, "x")


@pytest.mark.parametrize("text", ["=1+1", "@SUM(A1)", "\t=1", "\r=1", '+HYPERLINK("x","y")', "-2+3+cmd|' /C calc'!A0"])
def test_a_formula_is_no_cell(text: str) -> None:
    assert cell(text) == f"'{text}"


@pytest.mark.parametrize("text", ["+0.9 (+0.3 to +1.5)", "-0.5", "+ MLE", "", "a=b"])
def test_numbers_and_labels_are_cells(text: str) -> None:
    assert cell(text) == text


@quickly
@given(words())
def test_what_is_printed_holds_no_code(text: str) -> None:
    shown = printable(text)
    assert shown.replace("\n", "").replace("\t", "").isprintable() or not any(
        c < " " or "\x7f" <= c < "\xa0" for c in shown.replace("\n", "").replace("\t", "")
    )
    assert printable(shown) == shown
    shown.encode()
