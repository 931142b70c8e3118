"""The drawing and the measures of the architecture page are those of the code as it is."""

from itertools import pairwise
from xml.etree import ElementTree

import pytest

from docs import architecture
from docs.architecture import (
    arrow_list,
    direct,
    drawing,
    functions,
    length,
    measures,
    package_arrows,
    reached,
    table,
    twice,
    typed,
    with_arrows,
    with_part,
)
from tests.docs.pages import ROOT
from tests.test_arrows import ARROWS, LEVELS, levels

RENEW = "run nox -s docs and look at what it made"
ARROW = "{http://www.w3.org/2000/svg}path[@marker-end]"


@pytest.fixture(scope="module")
def measured() -> dict[str, str]:
    """Taken once: it takes seconds."""
    return measures()


def test_the_drawing_is_not_older_than_the_imports() -> None:
    assert architecture.DRAWING.read_text("utf-8") == drawing(), RENEW


def test_the_arrows_are_those_that_the_tests_hold() -> None:
    text = architecture.PAGE.read_text("utf-8")
    assert text == with_arrows(text), RENEW
    listed = dict(line.split(maxsplit=1) for line in arrow_list().splitlines()[1:-1])
    assert listed["rtmo"] == "inference" and listed["core"] == "-"
    assert listed.keys() == ARROWS.keys() - {"outside"}


@pytest.mark.slow
def test_the_page_has_every_measure(measured: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Their values are taken anew by the command: every change of the code would make them old."""
    monkeypatch.setattr(architecture, "measures", lambda: measured)
    text = architecture.PAGE.read_text("utf-8")
    shown, made = ([line.split("|")[1] for line in t.splitlines() if line.startswith("| ")] for t in (text, table()))
    assert len(made) > 8 and set(made) <= set(shown), RENEW


def test_a_page_without_marks_is_no_place_for_a_part() -> None:
    assert with_part("a\n<!-- x -->\nold\n<!-- /x -->\nb", "x", "new") == "a\n<!-- x -->\n\nnew\n\n<!-- /x -->\nb"
    with pytest.raises(ValueError):
        with_part("a", "x", "new")


def test_the_drawing_shows_every_package_and_every_arrow_that_it_needs() -> None:
    image = ElementTree.fromstring(drawing())
    names = {text.text for text in image.iter("{http://www.w3.org/2000/svg}text")}
    assert names == set(package_arrows())
    assert len(image.findall(ARROW)) == sum(map(len, direct(package_arrows()).values()))


def test_no_two_boxes_overlap() -> None:
    boxes = ElementTree.fromstring(drawing()).findall("{http://www.w3.org/2000/svg}rect[@rx]")
    corners = sorted((float(box.get("y", 0)), float(box.get("x", 0))) for box in boxes)
    assert len(corners) > 10
    for (y, x), (next_y, next_x) in pairwise(corners):
        assert y != next_y or next_x - x > architecture.WIDTH


def test_the_page_says_what_every_package_is_for() -> None:
    text = architecture.PAGE.read_text("utf-8")
    for package in ARROWS.keys() - {"outside", "studies"}:
        assert f"| `{package}` |" in text, f"docs/architecture.md: say in a line what {package} is for"


# Names that came with the search, with names of the command line and with pages of searches, and are still to be told
# apart. None is to be added.
STILL_TWICE: set[str] = set()
for _line in (
    "ABSENT COSTS DRAWS Estimate LEVEL LEVELS MOST NETWORKS PARTS PATIENCE POINTS PRECISIONS PROTOCOLS Persons",
    "Precisions Proposal RELEASED RUNTIMES Ratio Reading Runtimes SAMPLERS SHOWN STDC Source Training Z95 about",
    "augmented conclusion front front_frame front_table growth growth_frame head origin page_command predicted",
    "print_states repeated reproduce retry shade status steps_of study_command varying words_of",
):
    STILL_TWICE.update(_line.split())


def test_the_code_keeps_to_its_measures(measured: dict[str, str]) -> None:
    """What the house promises of itself."""
    found = measured
    assert float(found["lines of a function: the median"]) < 10
    assert int(found["lines of a function: nine in ten have at most"]) < 50
    assert int(found["functions above 50 lines"]) <= 2
    assert found["public functions with all types"] == "100.0 %"
    assert found["modules that import themselves through others"] == "0"
    assert set(twice()) <= STILL_TWICE, "one name, one thing: rename one of them, or make it private"
    assert max(levels(package_arrows()).values()) <= LEVELS


# The measures themselves, on code that is known


def test_arrows_that_follow_from_others_are_not_drawn() -> None:
    arrows = {"a": {"b", "c", "d"}, "b": {"c"}, "c": set(), "d": {"c"}}
    assert direct(arrows) == {"a": {"b", "d"}, "b": {"c"}, "c": set(), "d": {"c"}}


def test_a_circle_is_counted() -> None:
    found = reached({"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a"}})
    assert sorted(node for node, others in found.items() if node in others) == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("text", "lines", "whole"),
    [
        ("def f(a: int, *b: str, c: int = 0, **d: float) -> int:\n    return a", 2, True),
        ("@x\n@y\ndef f(self, a) -> int:\n    return a", 4, False),
        ("def f(cls): ...", 1, False),
        ("async def f(self, *a) -> None:\n\n    ...", 3, False),
    ],
)
def test_length_and_types_of_a_function(text: str, lines: int, whole: bool) -> None:
    (function,) = functions(text)
    assert (length(function), typed(function)) == (lines, whole)


def test_a_public_name_in_two_modules_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = {"a.py": "A = 1\nB: int = 2\n_C = 3\ndef d(): ...", "b.py": "def A(): ...\nclass d: ..."}
    texts["c.py"] = "B = 1\n_C = 2\nE = 1\nE = 2"
    monkeypatch.setattr(architecture, "sources", lambda: texts)
    assert architecture.twice() == ["A", "B", "d"]


def test_every_file_of_the_package_is_read() -> None:
    texts = architecture.sources()
    assert "workbench/study.py" in texts and len(texts) > 50
    assert set(texts) == {str(file.relative_to(ROOT)) for file in (ROOT / "workbench").rglob("*.py")}
