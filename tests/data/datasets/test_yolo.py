"""Ultralytics' YOLO pose."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.data.datasets.animals import NAMES
from tests.data.datasets.layouts import yolo
from workbench.core.errors import Refused
from workbench.data.datasets.checking import data_report
from workbench.data.datasets.folder import dataset_fingerprint, dataset_keypoints, open_dataset


def test_yolo_without_names_is_a_set_of_its_own(tmp_path: Path) -> None:
    root = yolo(tmp_path, kpt_names=None, names=["goat"], val="../images/val")
    found = dataset_keypoints(root)
    assert found.skeleton.keypoints == tuple(f"point {k}" for k in range(5)) and found.skeleton.flip == (0, 1, 3, 2, 4)
    assert "mirror pairs of flip_idx" in found.said and len(open_dataset(root, "val")) == 3
    before = dataset_fingerprint(root)
    label = root / "labels" / "train" / "1.txt"
    label.write_text("0 0.5 0.5 0.2 0.2\n" + label.read_text())
    assert dataset_fingerprint(root) != before
    assert "persons without key points, taken as regions to ignore, annotations: 1" in str(
        open_dataset(root, "train").look().notes()
    )
    label.write_text("0 0.5 0.5 0.2 0.2 0.1\n")
    with pytest.raises(Refused, match=r"5 key points of 3 numbers: 1, first 1.txt line 1"):
        open_dataset(root, "train")


def test_yolo_that_does_not_say_what_mirrors_what_is_refused(tmp_path: Path) -> None:
    root = yolo(tmp_path, kpt_names=None, flip_idx=None)
    with pytest.raises(Refused, match="neither names its key points nor gives flip_idx"):
        open_dataset(root, "train")
    (root / "keypoints.json").write_text(json.dumps({"names": NAMES}))
    assert open_dataset(root, "train").skeleton.keypoints == NAMES


@pytest.mark.parametrize("flip", [[0, 1, 3, 4, 2], ["0", "1", "3", "2", "4"], [0, 1, 2, 3]])
def test_yolo_with_mirrors_that_do_not_lead_back_is_refused(flip: list[Any], tmp_path: Path) -> None:
    with pytest.raises(Refused, match="expected the numbers 0 to 4"):
        open_dataset(yolo(tmp_path, kpt_names=None, flip_idx=flip), "train")


def test_yolo_with_a_line_that_is_none_or_of_no_class_is_refused(tmp_path: Path) -> None:
    root = yolo(tmp_path)
    label = root / "labels" / "train" / "1.txt"
    for text in (b"nan 0.5 0.5 0.2 0.2\n", b"0 0.5 \xff 0.2 0.2\n", b"7 0.5 0.5 0.2 0.2\n"):
        label.write_bytes(text)
        with pytest.raises(Refused, match=r"first 1.txt line 1"):
            open_dataset(root, "train")


def test_what_is_wrong_names_the_text_file_and_its_line(tmp_path: Path) -> None:
    root = yolo(tmp_path)
    label = root / "labels" / "train" / "2.txt"
    label.write_text("0 0.5 0.5 0.2 0.2\n0 0.9 0.5 0.8 0.2" + " 0.5 0.5 2" * 5 + "\n")
    found = data_report(root)
    assert [(one.what, one.first, one.file) for one in found.findings] == [
        ("boxes outside the image, annotations", ("2.txt line 2",), str(root / "data.yaml"))
    ]
    assert ("2.txt line 1",) in [one.first for one in found.put_right]
    assert {part["file"] for part in found.parts} == {str(root / "data.yaml")}
    with pytest.raises(Refused, match=r"/data.yaml with the images of .* cannot be used") as refused:
        open_dataset(root, "train")
    assert "yolo1" not in str(refused.value)
