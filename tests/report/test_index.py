"""One list of all pages, made from what they say of themselves."""

from pathlib import Path

from tests.report.made_up import ROOT
from workbench.report.index import NAME, index_page, summary_of, write_index

HEAD = '<title>Which one?</title><meta name="description" content="1 of 2 claims &lt;decided&gt;.">'


def test_every_page_is_listed_under_its_question(tmp_path: Path) -> None:
    for name, head in (("b_short", HEAD), ("a_laptop", HEAD), ("c", "<title>Else?</title>")):
        (tmp_path / f"{name}.html").write_text(head)
    write_index(tmp_path)
    text = write_index(tmp_path).read_text()
    assert text.count("<li>") == 3 and f'href="{NAME}"' not in text, "the index of before is no page"
    assert text.count("<h2>") == 2 and text.index("a_laptop") < text.index("b_short") < text.index("Else?")
    assert 'href="a_laptop.html"' in text and "1 of 2 claims &lt;decided&gt;." in text
    assert summary_of(tmp_path / "c.html").conclusion == ""


def test_the_committed_index_is_of_the_committed_pages() -> None:
    rendered = ROOT / "reports/rendered"
    assert (rendered / NAME).read_text("utf-8") == index_page(rendered), "write it anew: nox -s report -- ablate_dcc"
