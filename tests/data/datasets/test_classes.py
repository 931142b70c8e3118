"""Classes by id and name over both parts of a data set."""

import json
from pathlib import Path

import pytest

from tests.data.datasets.animals import animals, labelled
from tests.data.datasets.changed import Content, perfect, persons, written
from workbench.core.errors import Refused
from workbench.data.datasets.folder import dataset_classes, open_dataset
from workbench.evaluation.coco_ap import evaluate_coco


def test_a_class_has_one_label_whatever_its_id(tmp_path: Path) -> None:
    def shifted(c: Content) -> None:
        c["categories"].insert(0, {"id": 1, "name": "goats", "keypoints": c["categories"][0]["keypoints"]})
        c["categories"][1]["id"] = 2
        persons(category_id=2)(c)

    root = written(tmp_path, lambda c: None, shifted)
    assert dataset_classes(root).names == ("goat",) and dataset_classes(root).empty == ("goats",)
    val = open_dataset(root, "val")
    assert {int(n) for one in val for n in one.persons.labels} == {0}
    assert [one["name"] for one in val.coco()["categories"]] == ["goat"]
    assert evaluate_coco(val.coco(), [perfect(one) for one in val], val.skeleton.sigmas)["AP"] == 1


def test_classes_that_only_one_part_has(tmp_path: Path) -> None:
    def two(c: Content) -> None:
        c["categories"].append({**c["categories"][0], "id": 7, "name": "sheep"})
        c["annotations"][1]["category_id"] = 7

    root = written(tmp_path, two, lambda c: None)
    assert dataset_classes(root).names == ("goat", "sheep")
    assert len(open_dataset(root, "val").coco()["categories"]) == 2
    with pytest.raises(
        Refused, match=r"val2017.json has category 'sheep', which .*train2017.json has not .it has 'goat'"
    ):
        dataset_classes(written(tmp_path, lambda c: None, two))


def test_labels_follow_the_file_that_is_trained_on(tmp_path: Path) -> None:
    made, val = labelled(2, 1), labelled(2, 2)
    for one in (made, val):
        one["categories"] = [one["categories"][0] | {"id": n, "name": name} for n, name in ((1, "goat"), (2, "cow"))]
    made["annotations"][1]["category_id"] = 2
    for one in val["annotations"]:
        one["category_id"] = 2
    assert dataset_classes(animals(tmp_path, made, val)).names == ("goat", "cow")


def test_category_ids_that_are_no_ints_are_the_same_ones(tmp_path: Path) -> None:
    made = labelled(2, 1, (1, 0, 2, 3, 4))
    made["categories"][0]["id"] = 1.0
    plain, turned = open_dataset(animals(tmp_path / "a"), "train"), open_dataset(animals(tmp_path / "b", made), "train")
    assert len(turned) == 2 and turned.skeleton.keypoints != plain.skeleton.keypoints


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_a_category_without_key_points_is_no_class_beside_others(encoding: str, tmp_path: Path) -> None:
    root = animals(tmp_path)
    for file in (root / "annotations").iterdir():
        made = json.loads(file.read_text())
        made["categories"] += [{"id": 2, "name": "car"}, made["categories"][0] | {"id": 3, "name": "cow"}]
        made["annotations"][0]["category_id"] = 3
        box = {"id": 99, "image_id": 1, "category_id": 2, "bbox": [1, 1, 9, 9], "area": 81, "iscrowd": 0}
        file.write_text(json.dumps({**made, "annotations": [*made["annotations"], box]}), encoding)
    train = open_dataset(root, "train")
    assert dataset_classes(root).names == ("goat", "cow")
    assert train[0].persons.labels.tolist() == [1] and train[1].persons.labels.tolist() == [0]
    assert train.look().notes() == [
        "categories without an annotation or key points, left out: 1, first 'car'",
        "annotations of a category that names no key points, and without any: left out: 1, first 99",
    ]
