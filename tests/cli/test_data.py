"""The commands on data: what draws the embedded scenes, what checks, shows and converts data sets of one's own."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.cli.commands import options_of
from tests.data.datasets.animals import animals
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


# ------------------------------------------------------------------------------------------- data sets of one's own


def test_a_data_set_is_checked_shown_and_converted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("WORKBENCH_HOME", str(tmp_path / "home"))
    root = animals(tmp_path / "goats")
    assert main(["data", "check", str(root)]) == 0
    assert "val: 3 images, 3 persons to learn from" in capsys.readouterr().out
    assert main(["data", "show", str(root), "-o", str(tmp_path / "shown"), "--part", "val", "--count", "2"]) == 0
    drawn = [cv2.imread(path) for path in capsys.readouterr().out.split()]
    assert len(drawn) == 2 and all(one is not None and one.shape[0] >= 640 for one in drawn)
    assert main(["data", "convert", str(root), "-o", str(tmp_path / "yolo"), "--to", "yolo"]) == 0
    files = [f"{root}/annotations/person_keypoints_{part}2017.json:{root}/{part}2017" for part in ("train", "val")]
    assert main(["data", "check", "--train", files[0], "--val", files[1], "--json"]) == 0
    captured = capsys.readouterr()
    found = json.loads(captured.out[captured.out.index("{") :])
    assert found["fit"] and found["layout"] == "list" and not found["findings"] and "as a data set: " in captured.err


def test_what_is_not_fit_is_said_whole(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = animals(tmp_path / "goats")
    for name in ("1.png", "2.png"):
        (root / "train2017" / name).write_bytes(b"no image")
    assert main(["data", "check", str(root), "--json"]) == 1
    (finding,) = json.loads(capsys.readouterr().out)["findings"]
    assert finding["what"] == "broken images" and finding["count"] == 2 and finding["part"] == "train"
    (root / "annotations" / "person_keypoints_val2017.json").unlink()
    assert main(["data", "check", str(root)]) == 1
    assert "person_keypoints_val2017.json: there is no such file" in capsys.readouterr().out
    assert main(["data", "check", str(tmp_path / "none")]) == 2
    assert main(["data", "check"]) == 2 and "no data set is given" in capsys.readouterr().err
