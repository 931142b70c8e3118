"""Every fault in docs/survives.md has a test, and every test that is named there is one."""

import ast
import re

from tests.docs.pages import ROOT, inline_code

PAGE = ROOT / "docs/survives.md"
NAMED = re.compile(r"(tests/[\w/]+\.py)::(test_\w+)")


def test_every_test_that_is_named_is_there() -> None:
    named = [found.groups() for text in inline_code(PAGE) if (found := NAMED.fullmatch(text))]
    assert len(named) > 30
    for file, test in named:
        tree = ast.parse((ROOT / file).read_text("utf-8"))
        assert test in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}, f"{file}::{test}"


def test_every_fault_names_a_test() -> None:
    lines = [line for line in PAGE.read_text("utf-8").splitlines() if line.startswith("| ")]
    faults = [line for line in lines if not line.startswith("| what |")]
    assert len(faults) > 30 and all(NAMED.search(line) for line in faults)
