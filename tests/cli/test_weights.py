"""The commands on files of weights; what they say and write is tested with the models."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.cli.commands import watch
from tests.models.written import mmpose_file
from workbench.__main__ import main


def test_a_file_is_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = str(mmpose_file(tmp_path / "a.pth"))
    assert main(["weights", "show", path]) == 0
    assert "nano at 96 x 96" in capsys.readouterr().out
    assert main(["weights", "show", path, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["network"] == "nano"


def test_what_fits_no_network_is_shown_with_exit_code_1(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    torch.save({"a": torch.zeros(1)}, tmp_path / "a.pth")
    assert main(["weights", "show", str(tmp_path / "a.pth")]) == 1
    assert "It fits no preset" in capsys.readouterr().out


@pytest.mark.parametrize(("words", "to"), [([], "workbench"), (["--to", "focoos"], "focoos")])
def test_a_file_is_converted(words: list[str], to: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = watch(monkeypatch, {"workbench.models.weight_export.convert_weights": "done"})
    (tmp_path / "a.pth").touch()
    assert main(["weights", "convert", str(tmp_path / "a.pth"), "-o", "b.pth", *words]) == 0
    assert calls[0][1] == (str(tmp_path / "a.pth"), Path("b.pth"), to)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["show", "none.pth"], "none.pth: no such file; expected a file of weights or the folder of a job"),
        (["convert", "none.pth", "-o", "b.pth"], "none.pth: no such file"),
        (["convert", "a.pth", "-o", "b.pth", "--to", "yolo"], "--to 'yolo': expected workbench or mmpose or focoos"),
        (["convert", "a.pth"], "Missing option '-o' / '--out'"),
    ],
)
def test_mistakes_are_refused(words: list[Any], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["weights", *words]) == 2
    assert said in capsys.readouterr().err
