"""The page of a gallery: everything in one file, and its filters in a real browser."""

import re
from pathlib import Path

import numpy as np
import pytest

from tests.browser import IN_A_BROWSER, keep, opened_page
from workbench.core.skeletons import COCO
from workbench.report.gallery import Gallery, ShownImage, ShownPerson
from workbench.report.gallery_page import gallery_page

SOAKED = [pytest.mark.soak, *IN_A_BROWSER]
ROWS = ("base", "- bins", "<script>alert(1)</script>")
DOT = "data:image/gif;base64,R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7"


def person(score: float | None = None) -> ShownPerson:
    points = np.stack([np.linspace(10, 80, 17), np.linspace(10, 80, 17)], 1).astype(np.float32)
    return ShownPerson(points, np.arange(17) != 3, score)


def image(number: int) -> ShownImage:
    """One of six: the higher its number, the higher, more crowded and more alike its persons are."""
    return ShownImage(
        number=number,
        picture=DOT,
        size=(96, 96),
        persons=1,
        height=10.0 * number,
        crowding=number / 10,
        truth=[person()],
        found={row: [person(0.5)] * i for i, row in enumerate(ROWS)},
        quality={row: 0.5 + i / (10 * number) for i, row in enumerate(ROWS)},
    )


@pytest.fixture
def found() -> Gallery:
    return Gallery("Which?", "my_study, short", 0, "", ROWS, COCO, [image(n) for n in range(1, 7)])


def test_every_image_is_there_once_and_every_row_draws_over_it(found: Gallery) -> None:
    html = gallery_page(found)
    assert html.count(DOT) == 6 and html.count("<use href=") == 6 * (1 + len(ROWS))
    assert html.count("score 0.50") == 6 * 3, "one person of the second row, two of the third"
    assert "http" not in html.replace("http://www.w3.org", "") and "<script>alert" not in html
    assert "without bins" in html and "- bins" not in html


def test_a_point_that_is_not_there_is_not_drawn(found: Gallery) -> None:
    (first, *_) = re.findall(r"<g .*?</g>", gallery_page(found))
    dots = re.findall(r"M(\S+) \S+h0", first)
    assert len(dots) == 16 and f"{np.linspace(10, 80, 17)[3]:.1f}" not in dots


class TestInABrowser:
    pytestmark = SOAKED

    def test_filters_orders_and_rows(self, found: Gallery, tmp_path: Path) -> None:
        file = tmp_path / "gallery.html"
        file.write_text(gallery_page(found), "utf-8")
        with opened_page() as page:
            page.goto(file.as_uri())

            def shown() -> list[str]:
                return [text.split(":")[0] for text in page.locator("h2:visible").all_inner_texts()]

            assert shown() == [f"image {n}" for n in range(1, 7)], "most apart first"
            page.get_by_label("order").select_option("number")
            page.get_by_label("persons' height").select_option("high")
            assert shown() == ["image 5", "image 6"] and page.inner_text("output") == "2 of 6 images"
            page.get_by_label("rows apart").select_option("high")
            assert shown() == [], "the high ones are most alike"
            page.get_by_label("rows apart").select_option("")
            tiles = page.locator("figure:visible").count()
            page.get_by_label("without bins").uncheck()
            assert tiles == 8 and page.locator("figure:visible").count() == 6
            keep(page, "gallery")
