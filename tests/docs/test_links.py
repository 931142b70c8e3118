"""Every link of README, docs and log leads somewhere."""

from pathlib import Path

import pytest

from tests.docs.pages import DOCS, PAGES, README, broken_links, links


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_somewhere(page: Path) -> None:
    assert broken_links(page) == []


def test_every_page_is_linked_from_the_readme() -> None:
    linked = {(README.parent / target.partition("#")[0]).resolve() for target in links(README)}
    assert len(DOCS) > 5
    assert {page.resolve() for page in DOCS if page != README} <= linked


@pytest.mark.parametrize("target", ["none.md", "#none", "page.md#none", "http://example.org", "https://example"])
def test_a_broken_link_is_found(tmp_path: Path, target: str) -> None:
    page = tmp_path / "page.md"
    good = "[a](page.md#a-b-c) [b](#a-b-c) [c](https://example.org/x) `[d](none.md)`\n\n```sh\n[e](none.md)\n```\n"
    page.write_text(f"# A b: c\n\n{good}[f]({target})\n", "utf-8")
    assert broken_links(page) == [target]
