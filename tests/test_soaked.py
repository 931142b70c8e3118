"""Soak tests run where they are asked for, by their mark or by the name of their file, and nowhere else."""

from __future__ import annotations

from pathlib import Path

import pytest

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
