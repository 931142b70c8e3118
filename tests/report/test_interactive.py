"""A figure that answers the pointer, in a real browser."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.browser import BROWSER
from workbench.report.drawing import Hover, svg
from workbench.report.forest_figure import forest_figure
from workbench.report.interactive import STYLE, interactive
from workbench.report.record import Record
from workbench.report.rows import labels
from workbench.report.verdict_frames import forest_frame


def live(record: Record) -> str:
    hover = Hover()
    figure = forest_figure(forest_frame(record), "title", hover)
    return interactive(svg(figure), hover, labels(record), "differences")


def test_it_loads_nothing_and_its_marks_are_its_own(record: Record) -> None:
    html = live(record)
    assert "http" not in html.replace("http://www.w3.org", "")
    marks = json.loads(html.partition("marks = ")[2].partition(";\n")[0])
    assert all(mark.startswith("differences-mark") and f'id="{mark}"' in html for mark in marks)
    assert 'value="more"' in html and 'value="base"' not in html, "a box only for rows that have marks"


@pytest.mark.soak
@pytest.mark.skipif(BROWSER is None, reason="no Chromium: install it, or name one with WORKBENCH_CHROMIUM")
def test_hover_tells_numbers_and_a_box_hides_its_row(record: Record, tmp_path: Path) -> None:
    from playwright.sync_api import sync_playwright

    file = tmp_path / "page.html"
    file.write_text(f"<!doctype html><meta charset=utf-8><style>{STYLE}</style>{live(record)}", "utf-8")
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=BROWSER, args=["--no-sandbox", "--disable-gpu"])
        page: Any = browser.new_page(viewport={"width": 1200, "height": 900})
        page.goto(file.as_uri())
        mark = page.locator(".mark").last
        mark.hover(force=True)
        page.locator(".tip").wait_for(state="visible")
        assert "95 % interval" in page.inner_text(".tip")
        shown = page.locator(".mark:visible").count()
        page.get_by_label("A/A").uncheck()
        hidden = shown - page.locator(".mark:visible").count()
        page.get_by_label("A/A").check()
        assert hidden > 0 and page.locator(".mark:visible").count() == shown
        browser.close()
