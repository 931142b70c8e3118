"""How far a command is, where somebody sees it and where nobody does."""

from __future__ import annotations

import pickle

import pytest

from workbench.cli import progress
from workbench.cli.progress import ProgressLine, progress_shown
from workbench.training.record import Progress


@pytest.mark.parametrize(
    ("total", "things", "said"),
    [
        (3_000, "", "2 of 3,000: b.jpg\n"),
        (None, "", "2: b.jpg\n"),
        (3_000, "images", "2 of 3,000 images\n"),
    ],
)
def test_without_a_terminal_there_is_a_line_now_and_then(
    total: int | None, things: str, said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with progress_shown(total, things) as tick:
        tick("a.jpg")
    assert capsys.readouterr() == ("", "")
    monkeypatch.setattr(progress, "LINE_EVERY", 0.0)
    with progress_shown(total, things) as tick:
        tick("a.jpg")
        tick("b.jpg")
    out, err = capsys.readouterr()
    assert out == "" and err.endswith(said) and err.count("\n") == 2


@pytest.mark.parametrize(("things", "said"), [("", "1 of 2 a [b].jpg"), ("images", "1 of 2 images")])
def test_on_a_terminal_there_is_a_bar(
    things: str, said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("NO_COLOR", "1")
    with progress_shown(2, things) as tick:
        tick("a [b].jpg")
    out, err = capsys.readouterr()
    assert out == "" and said in err


def test_training_is_written_over_on_a_terminal_and_seldom_elsewhere(capsys: pytest.CaptureFixture[str]) -> None:
    told = Progress(1, 4, 0.25, 100.0, 61.0, {"loss_oks": 0.5}, {"AP": 0.125})
    for on_terminal in (True, False):
        with pickle.loads(pickle.dumps(ProgressLine(on_terminal))) as line:
            for _ in range(3):
                line(told)
        said = capsys.readouterr().err
        assert (said.count("epoch 1/4"), said.count("\n")) == ((3, 0) if on_terminal else (1, 1))
