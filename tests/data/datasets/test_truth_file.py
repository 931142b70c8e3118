"""An annotation file without its images, as the truth."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.data.datasets.animals import NAMES, animals, labelled
from tests.data.datasets.folders import content
from workbench.core.errors import DataFault, Refused
from workbench.core.skeletons import COCO
from workbench.data.datasets.folder import open_dataset
from workbench.data.datasets.truth_file import TruthFile, read_truth


def written(folder: Path, made: Any) -> Path:
    file = folder / "truth.json"
    file.write_text(made if isinstance(made, str) else json.dumps(made))
    return file


def read(folder: Path, made: Any) -> TruthFile:
    return read_truth(written(folder, made))


def test_it_is_the_truth_of_the_data_set(tmp_path: Path) -> None:
    root = animals(tmp_path / "goats")
    found = read_truth(root / "annotations" / "person_keypoints_val2017.json")
    val = open_dataset(root, "val")
    assert found.truth == val.coco() and found.skeleton == val.skeleton and found.evaluation == "coco"
    assert found.images == {1: 1, 2: 2, 3: 3} and found.files == {"1.png": 1, "2.png": 2, "3.png": 3}
    assert found.labels == {"1": 0} and found.columns == {"1": (0, 1, 2, 3, 4)}


def test_its_rules_are_crowdposes_where_every_image_says_how_crowded_it_is(tmp_path: Path) -> None:
    made = content()
    assert read(tmp_path, made).evaluation == "crowdpose"
    del made["images"][0]["crowdIndex"]
    found = read(tmp_path, made)
    assert found.evaluation == "coco" and found.skeleton == COCO


def test_columns_in_another_order_are_known(tmp_path: Path) -> None:
    order = (4, 0, 3, 2, 1)
    found = read(tmp_path, labelled(2, 0, order))
    assert found.skeleton.keypoints == tuple(NAMES[k] for k in order), "a set of its own has the order of the file"
    made = content()
    made["categories"][0]["keypoints"] = [*reversed(COCO.keypoints)]
    turned = read(tmp_path, made)
    assert turned.skeleton == COCO and turned.columns["1"] == tuple(reversed(range(17)))
    assert any("are put in its order" in note for note in turned.notes)


def test_a_file_beside_it_has_its_say(tmp_path: Path) -> None:
    (tmp_path / "keypoints.json").write_text('{"sigmas": 0.05}')
    assert read(tmp_path, labelled(2, 0)).skeleton.sigmas == (0.05,) * 5


def test_ids_in_words_and_names_that_stand_twice(tmp_path: Path) -> None:
    made = labelled(3, 0)
    for image, person in zip(made["images"], made["annotations"], strict=True):
        image["id"] = person["image_id"] = f"img-{image['id']}"
    made["images"][1]["file_name"] = "a/1.png"
    found = read(tmp_path, made)
    assert found.images == {"img-1": 1, "img-2": 2, "img-3": 3} and found.files == {"3.png": 3}
    assert any("numbered anew" in note for note in found.notes)


def test_what_is_wrong_is_said(tmp_path: Path) -> None:
    with pytest.raises(Refused, match=r"no annotation file .*none\.json"):
        read_truth(tmp_path / "none.json")
    made = labelled(2, 0)
    made["annotations"][0]["keypoints"] = [1, 2]
    with pytest.raises(
        DataFault, match=r"truth\.json can not be judged by; correct it first:\n  unknown key-point count"
    ):
        read(tmp_path, made)
    with pytest.raises(Refused, match="can not be read, or holds no categories"):
        read(tmp_path, "{")
