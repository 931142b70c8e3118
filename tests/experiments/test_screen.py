"""The terminal, as studies and searches write to it."""

import pytest

from workbench.experiments.screen import WIDE, console, say


def test_a_file_gets_a_wide_page_and_no_colours(capsys: pytest.CaptureFixture[str]) -> None:
    console().print("[red]x[/red] " * 60)
    assert max(map(len, capsys.readouterr().out.splitlines())) in range(100, WIDE + 1)


def test_what_somebody_else_wrote_moves_no_cursor(capsys: pytest.CaptureFixture[str]) -> None:
    say("a [bold]line[/bold]\x1b[2J")
    out = capsys.readouterr().out
    assert "[bold]line[/bold]" in out and "\x1b" not in out
