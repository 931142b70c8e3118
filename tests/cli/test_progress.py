"""How far a command is, where nobody sees a bar."""

from __future__ import annotations

import pytest

from workbench.cli import progress
from workbench.cli.progress import progress_shown


def test_without_a_terminal_there_is_a_line_now_and_then(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with progress_shown(3) as tick:
        tick("a.jpg")
    assert capsys.readouterr() == ("", "")
    monkeypatch.setattr(progress, "LINE_EVERY", 0.0)
    for total, said in ((3_000, "2 of 3,000: b.jpg\n"), (None, "2: b.jpg\n")):
        with progress_shown(total) as tick:
            tick("a.jpg")
            tick("b.jpg")
        out, err = capsys.readouterr()
        assert out == "" and err.endswith(said) and err.count("\n") == 2


def test_on_a_terminal_there_is_a_bar(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    with progress_shown(2) as tick:
        tick("a [b].jpg")
    out, err = capsys.readouterr()
    assert out == "" and "1/2" in err and "a [b].jpg" in err
