"""The table of a data set as the truth of an evaluation."""

import json
from pathlib import Path

import pytest

from tests.data.datasets.animals import NAMES, animals
from tests.data.datasets.folders import content, folder
from workbench.data.datasets.folder import open_dataset


def test_it_has_images_persons_and_names(tmp_path: Path) -> None:
    data = open_dataset(animals(tmp_path), "val")
    truth = data.coco()
    assert [one["id"] for one in truth["images"]] == data.image_ids and len(truth["annotations"]) == 3
    assert [(one["name"], one["keypoints"]) for one in truth["categories"]] == [("goat", list(NAMES))]
    first = data[0].persons
    assert truth["annotations"][0]["keypoints"][:2] == pytest.approx(first.keypoints[0, 0].tolist())


def test_what_is_ignored_has_its_mask_only_where_it_is_asked_for(tmp_path: Path) -> None:
    folder(tmp_path, content())
    data = open_dataset(folder(tmp_path, content(), "val2017"), "val")
    with_masks = [
        any("segmentation" in one for one in data.coco(covered=asked)["annotations"]) for asked in (False, True)
    ]
    assert with_masks == [False, True]
    assert json.loads(json.dumps(whole := data.coco(covered=True))) == whole, "in lists of plain numbers"
