"""Soak tests run where they are asked for, by their mark or by the name of their file, and nowhere else."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.soak_record import written
from tests.soaked import asked_for, passed_over

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize(
    ("expression", "arguments", "asked"),
    [
        ("", ["tests"], False),
        ("", ["tests/cli"], False),
        ("", ["tests/cli/test_app.py"], False),
        ("", ["tests/cli/test_ui.py"], True),
        ("", ["tests/cli/test_app.py", "tests/cli/test_ui.py::test_a_picture_opens"], True),
        ("soak", ["tests"], True),
    ],
)
def test_they_run_where_they_are_asked_for(expression: str, arguments: list[str], asked: bool) -> None:
    assert asked_for(ROOT / "tests/cli/test_ui.py", expression, arguments, ROOT) is asked


def test_a_file_is_found_from_any_folder() -> None:
    assert asked_for(ROOT / "tests/cli/test_ui.py", "", ["test_ui.py"], ROOT / "tests/cli")


def test_files_without_any_are_not_read_for_them(tmp_path: Path) -> None:
    with_one, without = tmp_path / "test_a.py", tmp_path / "test_b.py"
    with_one.write_text("@pytest.mark.soak")
    without.write_text("@pytest.mark.slow")
    assert [passed_over(file, "soak") for file in (with_one, without, tmp_path)] == [False, True, False]
    assert not passed_over(without, "") and not passed_over(without, "not soak")


def test_the_record_says_how_each_test_went(tmp_path: Path) -> None:
    report, record = tmp_path / "soak.xml", tmp_path / "soak.csv"
    report.write_text(
        '<testsuites><testsuite timestamp="2026-01-02T03:04:05.6+00:00">'
        '<testcase classname="tests.b.test_b" name="test_two[1]" time="2.04"><failure/></testcase>'
        '<testcase classname="tests.test_a" name="test_one" time="61.26"/></testsuite></testsuites>'
    )
    assert written(report, record) == 1
    lines = [line.split(",")[:3] for line in record.read_text("utf-8").splitlines()[1:]]
    assert lines == [
        ["tests/b/test_b.py::test_two[1]", "failure", "2.0"],
        ["tests/test_a.py::test_one", "passed", "61.3"],
    ]
