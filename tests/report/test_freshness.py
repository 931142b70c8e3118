"""A page that is older than its code or its record is found, and so is a picture that stands twice."""

import hashlib
import json
import re
import shutil
from functools import cache
from pathlib import Path

import pytest
from matplotlib.figure import Figure

from tests.browser import BROWSER
from tests.report.committed import committed
from tests.report.made_up import ROOT
from workbench.report import freshness
from workbench.report.drawing import png
from workbench.report.freshness import imported, made_of, networks_stamp, read_line, source_tree, stamp_of, why_old

RENDERED = ROOT / "reports/rendered"
PAGES = [one for one in committed("reports/rendered") if one.suffix in (".md", ".html") and one.stem != "index"]

CODE_DIGEST, RECORD_DIGEST = cache(freshness.code_digest), cache(freshness.record_digest)  # the same for many pages
DRAW = (
    *(f"report/{name}" for name in ("page", "render", "figures", "findings", "record", "diagnosis", "drawing")),
    *("evaluation/metrics", "evaluation/verdicts", "experiments/protocols", "experiments/claims"),
    *("models/zoo", "training/record", "study"),
)
BESIDE = ("report/verdict_table", "report/index", "training/loop", "experiments/console")
COPIED = [*imported(freshness.DRAWN_BY), *(freshness.PACKAGE / f"{name}.py" for name in BESIDE)]


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a notebook, a study, a record and a copy of what draws pages, and a page made of them."""
    for folder in ("reports/data", "reports/rendered", "studies"):
        (tmp_path / folder).mkdir(parents=True)
    for file in COPIED:
        copy = tmp_path / "package" / file.relative_to(freshness.PACKAGE)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, copy)
    cells = [{"id": "head", "cell_type": "code", "source": ["page.head(record)"]}]
    (tmp_path / "reports/ablation.ipynb").write_text(json.dumps({"cells": cells}))
    (tmp_path / "studies/one.py").write_text('"""Which?"""\nSTUDY = 1\n')
    (tmp_path / "reports/data/one_short.csv").write_text("row,AP\na,0.5\n")
    (tmp_path / "reports/data/one_cost.csv").write_text("row,ms\na,5\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(freshness, "PACKAGE", tmp_path / "package")
    made = made_of("ablation", "one", "one_short", "nox -s report -- one --protocol short")
    (tmp_path / "page.md").write_text(f"# Which?\n\n{made.line}\n")
    return tmp_path


def test_a_page_as_it_would_be_made_now_is_not_old(place: Path) -> None:
    assert why_old(place / "page.md") == ""
    assert read_line((place / "page.md").read_text()) == made_of(
        "ablation", "one", "one_short", "nox -s report -- one --protocol short"
    )


def test_a_change_of_the_code_makes_it_old(place: Path) -> None:
    modules = {place / f"package/{file}.py": (place / f"package/{file}.py").read_text() for file in DRAW}
    for module, text in modules.items():
        module.write_text(text + "\n# a word\n")
    assert why_old(place / "page.md") == "", "a comment draws the same page"
    for module, text in modules.items():
        module.write_text(text + "\nCHANGED = 1\n")
        why = why_old(place / "page.md")
        assert "older than the code that draws it" in why, module
        assert "run: nox -s report -- one --protocol short" in why
        module.write_text(text)


def test_a_module_that_decides_nothing_on_a_page_does_not_count(place: Path) -> None:
    for file in BESIDE:
        (place / f"package/{file}.py").write_text("CHANGED = 1\n")
    assert why_old(place / "page.md") == ""


@pytest.mark.parametrize("file", ["studies/one.py", "reports/ablation.ipynb"])
def test_a_change_of_study_or_notebook_makes_it_old(place: Path, file: str) -> None:
    path = place / file
    path.write_text(path.read_text().replace("STUDY = 1", "STUDY = 2").replace("page.head", "page.table"))
    assert "the code that draws it" in why_old(place / "page.md")


@pytest.mark.parametrize("file", ["one_short", "one_cost", "one_short_claims", "one_short_points"])
def test_a_change_of_the_record_makes_it_old(place: Path, file: str) -> None:
    path = place / f"reports/data/{file}.csv"
    path.write_text("row,AP\na,0.6\n")
    assert "older than reports/data/one_short*.csv" in why_old(place / "page.md")


def test_the_numbers_that_mlflow_gives_do_not_count(place: Path) -> None:
    runs = place / "reports/data/one_short.csv"
    stamp = networks_stamp("one_short")
    runs.write_text("row,AP,mlflow\na,0.5,1/abc\n")
    assert why_old(place / "page.md") == "" and networks_stamp("one_short") == stamp
    runs.write_text("row,AP,mlflow\na,0.6,1/abc\n")
    assert "older than" in why_old(place / "page.md") and networks_stamp("one_short") != stamp


def test_another_record_does_not_count(place: Path) -> None:
    (place / "reports/data/one_laptop.csv").write_text("row,AP\na,0.6\n")
    assert why_old(place / "page.md") == ""


def test_a_page_that_says_nothing_of_itself_is_old(place: Path) -> None:
    (place / "page.md").write_text("# Which?\n")
    assert "does not say what it was made of" in why_old(place / "page.md")


def test_docstrings_and_layout_do_not_count(tmp_path: Path) -> None:
    one, other = tmp_path / "one.py", tmp_path / "other.py"
    one.write_text('"""A."""\ndef f(a):\n    """B."""\n    return (a, 1)\n')
    other.write_text("def f(a):\n    return (\n        a,\n        1,  # one\n    )\n")
    assert source_tree(one) == source_tree(other)
    other.write_text("def f(a):\n    return (a, 2)\n")
    assert source_tree(one) != source_tree(other)


def test_imports_are_followed() -> None:
    names = {str(path.relative_to(freshness.PACKAGE).with_suffix("")) for path in imported(freshness.DRAWN_BY)}
    drawn = {"page", "render", "figures", "findings", "examples", "networks", "diagnosis", "names"}
    assert {f"report/{name}" for name in drawn} | {"experiments/claims", "evaluation/intervals"} <= names
    assert not names & {"report/verdict_table", "report/index", "training/run", "models/network"}


def test_a_picture_carries_its_stamp() -> None:
    assert stamp_of(png(Figure(figsize=(1, 1)), "abc")) == "abc"
    assert stamp_of(png(Figure(figsize=(1, 1)))) == ""


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_no_committed_page_is_old(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(freshness, "code_digest", CODE_DIGEST)
    monkeypatch.setattr(freshness, "record_digest", RECORD_DIGEST)
    assert why_old(path) == ""


def test_no_picture_is_committed_twice_or_shown_by_no_page() -> None:
    pictures = sorted(RENDERED.glob("*.png"))
    digests = [hashlib.sha256(path.read_bytes()).hexdigest() for path in pictures]
    assert len(set(digests)) == len(pictures)
    shown = {name for path in RENDERED.glob("*.md") for name in re.findall(r"\(\./(\S+?\.png)\)", path.read_text())}
    assert {path.name for path in pictures} == shown


@pytest.mark.soak
@pytest.mark.skipif(BROWSER is None, reason="no Chromium: install it, or name one with WORKBENCH_CHROMIUM")
def test_no_table_of_a_committed_page_is_wider_than_the_page() -> None:
    from playwright.sync_api import sync_playwright

    wide = "[...document.querySelectorAll('table')].filter(t => t.scrollWidth > t.clientWidth).length"
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=BROWSER, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page(viewport={"width": 1160, "height": 900})
        found = {}
        for path in sorted(RENDERED.glob("*.html")):
            page.goto(path.as_uri())
            found[path.name] = page.evaluate(wide)
        browser.close()
    assert not {name: count for name, count in found.items() if count}
