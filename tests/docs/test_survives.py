"""Every line of docs/survives.md and docs/safety.md has a test, and every test that is named there is one."""

import ast
import re
from pathlib import Path

import pytest

from tests.docs.pages import ROOT, inline_code

NAMED = re.compile(r"(tests/[\w/]+\.py)::(test_\w+)")
pages = pytest.mark.parametrize(
    ("page", "least"), [(ROOT / "docs/survives.md", 30), (ROOT / "docs/safety.md", 8)], ids=["survives", "safety"]
)


@pages
def test_every_test_that_is_named_is_there(page: Path, least: int) -> None:
    named = [found.groups() for text in inline_code(page) if (found := NAMED.fullmatch(text))]
    assert len(named) > least
    for file, test in named:
        tree = ast.parse((ROOT / file).read_text("utf-8"))
        assert test in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}, f"{file}::{test}"


@pages
def test_every_line_names_a_test(page: Path, least: int) -> None:
    lines = [line for line in page.read_text("utf-8").splitlines() if line.startswith("| ")]
    held = [line for line in lines if not line.startswith("| what |")]
    assert len(held) > least and all(NAMED.search(line) for line in held)
