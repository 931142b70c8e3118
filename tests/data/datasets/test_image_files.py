"""Where the image of an annotation lies."""

from pathlib import Path

import pytest

from tests.data.datasets.animals import animals, labelled
from workbench.core.errors import DataFault
from workbench.data.datasets.coco import CocoKeypoints
from workbench.data.datasets.folder import open_dataset


def test_an_image_that_is_another_ones_does_not_stand_in_for_a_missing_one(tmp_path: Path) -> None:
    made = labelled(2, 1)
    made["images"][0]["file_name"], made["images"][1]["file_name"] = "1.png", "other/1.png"
    (tmp_path / "train2017" / "other").mkdir(parents=True)
    root = animals(tmp_path, made)
    (root / "train2017" / "other" / "1.png").unlink()
    with pytest.raises(DataFault, match=r"images missing from .*: 1, first other/1.png"):
        open_dataset(root, "train")


def test_links_are_followed_and_those_that_lead_out_of_the_set_are_told_of(tmp_path: Path) -> None:
    root, disk = animals(tmp_path / "set", labelled(3, 1)), tmp_path / "disk"
    disk.mkdir()
    (root / "train2017" / "1.png").rename(disk / "1.png")
    (root / "train2017" / "1.png").symlink_to(disk / "1.png")
    (root / "train2017" / "2.png").rename(root / "train2017" / "other.png")
    (root / "train2017" / "2.png").symlink_to("other.png")
    found = open_dataset(root, "train")
    notes = [line for line in found.look().notes() if "lead out" in line]
    assert notes == [f"images behind links that lead out of {root}, which are followed: 1, first 1.png"]
    assert found.image(0).size
    (root / "train2017").rename(disk / "all")
    (root / "train2017").symlink_to(disk / "all")
    notes = [line for line in CocoKeypoints(root).look().notes() if "lead out" in line]
    assert notes[0].endswith("followed: 3, first 1.png, 2.png, 3.png")
