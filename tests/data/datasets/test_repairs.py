"""Values that would spoil a number: put right with a counted line, in samples and truth alike, or refused."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.data.datasets.animals import animals, labelled
from workbench.core.errors import DataFault, Refused
from workbench.data.datasets.folder import checked, dataset_classes, open_dataset
from workbench.evaluation.coco_ap import evaluate_coco
from workbench.tensors import Detections

Content = dict[str, Any]
Change = Callable[[Content], Any]


def persons(**change: Any) -> Change:
    return lambda c: [one.update(change) for one in c["annotations"]]


def moved(scale: float, by: float = 0.0) -> Change:
    def change(c: Content) -> None:
        for one in c["annotations"]:
            points = np.reshape(one["keypoints"], (-1, 3)).astype(float)
            points[:, :2] = points[:, :2] * scale + by
            one["keypoints"] = points.ravel().tolist()

    return change


def ids(make: Callable[[int], Any], images: bool = True, people: bool = True) -> Change:
    def change(c: Content) -> None:
        for one in c["images"] if images else ():
            one["id"] = make(one["id"])
        for one in c["annotations"] if people else ():
            one["image_id"] = make(one["image_id"])

    return change


def text(c: Content) -> None:
    for one in c["annotations"]:
        one |= {"keypoints": list(map(str, one["keypoints"])), "iscrowd": "0", "category_id": "1"}


def relative(c: Content) -> None:
    for one in c["annotations"]:
        points = np.reshape(one["keypoints"], (-1, 3)) - [*one["bbox"][:2], 0]
        one["keypoints"] = points.ravel().tolist()


def corners(c: Content) -> None:
    for one in c["annotations"]:
        x, y, w, h = one["bbox"]
        one["bbox"] = [x, y, x + w, y + h]


def over(c: Content) -> None:
    for one in c["annotations"]:
        one["bbox"][2] = 66 - one["bbox"][0]


def names(c: Content) -> None:
    for one in c["images"]:
        one["file_name"] = f"sub\\..\\{one['file_name']}".replace("sub\\..\\", ".\\")


AREA = "areas that are missing, not above 0 or not of the box, taken as 0.53 of the box"
RIGHT: dict[str, tuple[Change, str]] = {
    "no area": (lambda c: [one.pop("area") for one in c["annotations"]], AREA),
    "null area": (persons(area=None), AREA),
    "zero area": (persons(area=0), AREA),
    "negative area": (persons(area=-300.0), AREA),
    "area of another unit": (persons(area=0.1), AREA),
    "no person is counted": (persons(num_keypoints=0), "num_keypoints other than the labelled key points"),
    "numbers in quotes": (text, "numbers in quotes, read as numbers"),
    "ids of annotations": (persons(id=1), "annotation ids that are missing, no whole numbers or taken"),
    "ids in quotes": (ids(str), "image ids in quotes, read as numbers"),
    "ids in quotes in one place": (ids(str, people=False), "image ids in quotes, read as numbers"),
    "large ids": (ids(lambda n: n + 2**63), "image ids that are text or very large"),
    "words as ids": (ids(lambda n: f"a{n}"), "image ids that are text or very large"),
    "over the edge": (over, "boxes over the edge of the image, clipped"),
    "no sizes": (lambda c: [one.pop("width") for one in c["images"]], "images without width and height, taken from"),
    "backslash": (names, "file names with a backslash"),
    "other letters": (
        lambda c: [one.update(file_name=f"a/{one['file_name'].upper()}") for one in c["images"]],
        "images found under another folder or spelling",
    ),
    "dummy class": (
        lambda c: c["categories"].append({"id": 0, "name": "goats", "keypoints": c["categories"][0]["keypoints"]}),
        "categories without an annotation or key points, left out",
    ),
}


@pytest.mark.parametrize("fault", RIGHT)
def test_it_is_put_right_and_said_and_perfect_predictions_are_perfect(fault: str, tmp_path: Path) -> None:
    change, said = RIGHT[fault]
    root = written(tmp_path, change)
    assert [part.split for part in checked(root) if any(said in note for note in part.notes())] == ["train", "val"]
    data = open_dataset(root, "val")
    truth, found = data.coco(), [perfect(one) for one in data]
    result = evaluate_coco(truth, found, data.skeleton.sigmas)
    assert result["AP"] == 1 and result["mOKS"] == pytest.approx(1) and result["NME"] < 1e-6
    assert sum(len(one) for one in found) == len(truth["annotations"]) == 3
    areas = [one["area"] for one in truth["annotations"]]
    assert np.allclose(np.concatenate([one.persons.areas for one in data]), areas) and min(areas) > 100
    assert {one["num_keypoints"] for one in truth["annotations"]} == {5}
    json.dumps(truth, allow_nan=False)


WRONG: dict[str, tuple[Change, str]] = {
    "normalised": (moved(1 / 64), r"key points that look normalised .*: 4, first 1, 2, 3"),
    "relative to the box": (relative, r"key points that look relative to their box, annotations: \d, first"),
    "outside": (moved(1, 500), r"labelled key points far outside the image, annotations: 4, first 1, 2, 3"),
    "normalised boxes": (persons(bbox=[0.1, 0.1, 0.7, 0.7]), r"boxes that look normalised .*: 4, first 1, 2, 3"),
    "corners": (corners, r"boxes that look like two corners, x, y, width, height expected, annotations: \d, first"),
}


@pytest.mark.parametrize("fault", WRONG)
def test_another_unit_is_refused_for_both_parts_at_once(fault: str, tmp_path: Path) -> None:
    change, said = WRONG[fault]
    with pytest.raises(DataFault, match=said) as refused:
        checked(written(tmp_path, change))
    assert str(refused.value).count("with the images of") == 2


def test_one_misplaced_person_is_told_and_kept(tmp_path: Path) -> None:
    root = written(tmp_path, lambda c: c["annotations"][0].update(bbox=[1, 50, 8, 8]))
    said = "persons with most of their key points outside their box, annotations: 1, first 1"
    assert f"train: {said}" in checked(root)[0].notes() and len(open_dataset(root, "train")[0]) == 1


def test_key_points_that_nobody_can_see_are_not_labelled(tmp_path: Path) -> None:
    def change(c: Content) -> None:
        c["annotations"][0]["keypoints"][:6] = [0, 0, 2, 70, 20, 2]
        c["annotations"][1]["keypoints"][3:6] = [None, None, 0]

    root = written(tmp_path, change)
    notes = "\n".join(checked(root)[0].notes())
    assert "labelled at 0, 0, taken as not labelled, annotations: 1, first 1" in notes
    assert "outside the image, taken as not labelled, annotations: 1, first 1" in notes
    first, second, *_ = open_dataset(root, "train")
    assert first.persons.visible[0].tolist() == [0, 0, 2, 2, 2] and second.persons.visible[0, 1] == 0


def test_persons_without_key_points_are_regions_to_ignore(tmp_path: Path) -> None:
    root = written(tmp_path, lambda c: c["annotations"][0].pop("keypoints"))
    said = "persons without key points, taken as regions to ignore, annotations: 1, first 1"
    assert f"train: {said}" in checked(root)[0].notes()
    sample = open_dataset(root, "val")[0]
    x1, y1, x2, y2 = sample.persons.boxes[0]
    assert sample.ignore is not None and abs(sample.ignore.sum() - (x2 - x1) * (y2 - y1)) < 100
    assert open_dataset(root, "val").coco()["annotations"][0]["num_keypoints"] == 0


def test_marks_at_the_beginning_and_other_encodings_are_read(tmp_path: Path) -> None:
    root = animals(tmp_path)
    file = root / "annotations" / "person_keypoints_train2017.json"
    content = file.read_text()
    for encoding in ("utf-8-sig", "utf-16"):
        file.write_text(content, encoding)
        assert len(open_dataset(root, "train")) == 4


# ---------------------------------------------------------------------------------------------------------- classes


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


def written(root: Path, change: Change, change_val: Change | None = None) -> Path:
    made = labelled(4, 1), labelled(3, 2)
    animals(root, *map(lambda one: json.loads(json.dumps(one)), made))
    for content, one, split in zip(made, (change, change_val or change), ("train2017", "val2017"), strict=True):
        one(content)
        (root / "annotations" / f"person_keypoints_{split}.json").write_text(json.dumps(content))
    return root


def perfect(sample: Any) -> Detections:
    return Detections(
        boxes=sample.persons.boxes,
        scores=np.ones(len(sample), np.float32),
        labels=sample.persons.labels,
        keypoints=sample.persons.keypoints,
        keypoint_scores=np.ones(sample.persons.visible.shape, np.float32),
        image_id=sample.image_id,
    )


def test_an_image_that_is_another_ones_does_not_stand_in_for_a_missing_one(tmp_path: Path) -> None:
    made = labelled(2, 1)
    made["images"][0]["file_name"], made["images"][1]["file_name"] = "1.png", "other/1.png"
    (tmp_path / "train2017" / "other").mkdir(parents=True)
    root = animals(tmp_path, made)
    (root / "train2017" / "other" / "1.png").unlink()
    with pytest.raises(DataFault, match=r"images missing from .*: 1, first other/1.png"):
        open_dataset(root, "train")


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


def test_a_key_of_images_that_says_nothing_here_is_passed_over(tmp_path: Path) -> None:
    made = labelled(2, 1)
    made["images"][0]["absent"], made["images"][1]["absent"] = None, "no"
    assert len(open_dataset(animals(tmp_path, made), "train")) == 2
