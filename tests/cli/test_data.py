"""The command that draws the embedded data."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.cli.commands import options_of
from workbench.__main__ import main

SMALL = ["sheet", "--size", "48", "--count", "2", "--columns", "2"]
OPTIONS = {"--level": "hard", "--size": "64", "--count": "1", "--columns": "1", "--seed": "1"}


def picture(path: Path, *more: str) -> np.ndarray:
    assert main([*SMALL, "--out", str(path), *more]) == 0
    drawn = cv2.imread(str(path))
    assert drawn is not None
    return drawn


def test_every_option_changes_the_picture(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plain = picture(tmp_path / "plain.png")
    assert capsys.readouterr().out == f"{tmp_path / 'plain.png'}\n"
    assert set(OPTIONS) == options_of("sheet") - {"--out"}
    for option, value in OPTIONS.items():
        other = picture(tmp_path / "other.png", option, value)
        assert other.shape != plain.shape or (other != plain).any(), option


def test_it_goes_to_the_folder_of_the_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORKBENCH_HOME", str(tmp_path))
    assert main(SMALL) == 0
    assert (tmp_path / "sheet_easy.png").is_file()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ("--out no/folder/x.png", "--out no/folder/x.png: cannot write there"),
        ("--out x.txt", "expected a file ending in .png or .jpg"),
        ("--level odd", "sheet: --level 'odd': expected easy or hard"),
        ("--seed -1", "sheet: --seed '-1': expected a whole number of 0 or more"),
    ],
)
def test_what_can_not_be_drawn_is_refused(
    options: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main([*SMALL, *options.split()]) == 2
    assert said in capsys.readouterr().err
