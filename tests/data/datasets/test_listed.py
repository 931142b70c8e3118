"""Several annotation files taken together."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.data.datasets.animals import NAMES, animals, labelled
from tests.data.datasets.changed import written
from tests.data.datasets.layouts import listed, yolo
from workbench.core.errors import Refused
from workbench.data.datasets.checking import data_report
from workbench.data.datasets.folder import dataset_fingerprint, open_dataset
from workbench.data.datasets.listed import write_list


def test_what_lies_beside_image_folders_is_no_part_of_a_data_set(tmp_path: Path) -> None:
    root = listed(tmp_path / "list", animals(tmp_path / "a"), animals(tmp_path / "b"))
    yolos = yolo(tmp_path / "c")
    before = dataset_fingerprint(root), dataset_fingerprint(yolos)
    shutil.copy(tmp_path / "a" / "train2017" / "1.png", tmp_path / "picture.png")
    shutil.copy(tmp_path / "a" / "train2017" / "1.png", yolos / "picture.png")
    assert (dataset_fingerprint(root), dataset_fingerprint(yolos)) == before
    shutil.copy(tmp_path / "a" / "train2017" / "1.png", tmp_path / "b" / "train2017" / "7.png")
    assert dataset_fingerprint(root) != before[0]


def test_a_file_that_does_not_name_its_key_points_is_not_taken_for_one_that_does(tmp_path: Path) -> None:
    made = labelled(2, 5, (4, 3, 2, 1, 0))
    del made["categories"][0]["keypoints"]
    root = listed(tmp_path / "list", animals(tmp_path / "a"), animals(tmp_path / "b", made))
    with pytest.raises(Refused, match=r"b/annotations.*no category names its key points"):
        open_dataset(root, "train")


def test_a_list_is_made_once(tmp_path: Path) -> None:
    plain = animals(tmp_path / "a")
    before = (listed(tmp_path / "list", plain) / "sets.json").stat()
    again = (listed(tmp_path / "list", plain) / "sets.json").stat()
    assert (again.st_mtime_ns, again.st_ino) == (before.st_mtime_ns, before.st_ino)


def test_sets_with_other_key_points_are_taken_together(tmp_path: Path) -> None:
    """What the second file does not know has no weight; what only it knows is left out."""
    plain, made = animals(tmp_path / "a"), labelled(2, 5)
    names = ["tail_base", "horn", "nose"]
    made["categories"][0] |= {"id": 4, "keypoints": names, "skeleton": []}
    for one in made["annotations"]:
        points = np.reshape(one["keypoints"], (5, 3))
        one |= {"category_id": 4, "keypoints": [*points[1].tolist(), 1, 1, 2, *points[0].tolist()]}
    animals(tmp_path / "b", made)
    files = [tmp_path / name / "annotations" / "person_keypoints_train2017.json" for name in "ab"]
    images = [tmp_path / name / "train2017" for name in "ab"]
    val = plain / "annotations" / "person_keypoints_val2017.json", plain / "val2017"
    root = write_list(tmp_path / "both", list(zip(files, images, strict=True)), [val])
    train = open_dataset(root, "train")
    assert train.skeleton.keypoints == NAMES and len(train) == 6 and len(open_dataset(root, "val")) == 3
    own, other = train[0].persons, train[4].persons
    assert own.keypoint_weights.tolist() == [[1] * 5] and other.keypoint_weights.tolist() == [[1, 1, 0, 0, 0]]
    assert other.visible.tolist() == [[2, 2, 0, 0, 0]]
    assert np.allclose(other.keypoints[0, 0], labelled(2, 5)["annotations"][0]["keypoints"][:2])
    files[1].unlink()
    with pytest.raises(Refused, match=r"sets.json: no annotation file .*b/annotations"):
        open_dataset(root, "train")


def test_what_is_wrong_names_the_file_and_the_id_that_stand_there(tmp_path: Path) -> None:
    def wrong(made: dict[str, Any]) -> None:
        made["annotations"][1] |= {"id": 77, "bbox": [0, 0, -3, 5]}

    roots = animals(tmp_path / "a"), written(tmp_path / "b", wrong)
    found = data_report(listed(tmp_path / "list", *roots))
    (two,) = (one for one in found.findings if one.part == "train")
    assert two.first == ("person_keypoints_train2017.json id 77",) and two.file == str(tmp_path / "list" / "sets.json")
    (alone, _) = data_report(listed(tmp_path / "one", roots[1])).findings
    assert alone.first == ("77",) and alone.file == str(roots[1] / "annotations" / "person_keypoints_train2017.json")


def test_classes_that_do_not_agree_are_told_of_the_files_that_were_given(tmp_path: Path) -> None:
    root = written(tmp_path / "a", lambda _: None, lambda made: made["categories"][0].update(name="sheep"))
    (finding,) = data_report(listed(tmp_path / "list", root)).findings
    assert "person_keypoints_val2017.json (val) has category 'sheep'" in str(finding) and "list1" not in str(finding)
