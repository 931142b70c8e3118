"""Values that would spoil a number are put right with a counted line, in samples and truth alike."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.data.datasets.changed import Change, Content, perfect, persons, written
from workbench.core.errors import DataFault
from workbench.data.datasets.folder import checked, open_dataset
from workbench.data.datasets.table import MOST_PERSONS
from workbench.evaluation.coco_ap import evaluate_coco


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


def test_an_image_of_a_hundred_thousand_persons_is_found(tmp_path: Path) -> None:
    """A batch would take ten seconds for it, each time."""

    def crowded(c: Content) -> None:
        one = c["annotations"][0]
        c["annotations"] += [{**one, "id": 1000 + at} for at in range(MOST_PERSONS)]

    root = written(tmp_path, crowded)
    with pytest.raises(DataFault, match=r"images with more than 2,000 annotations: 1, first .* \(2,00"):
        checked(root)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("far", [1e6, 1e300])
def test_key_points_far_away_are_outside_without_a_warning(far: float, tmp_path: Path) -> None:
    root = written(tmp_path, lambda c: c["annotations"][0]["keypoints"].__setitem__(slice(0, 2), [far, far]))
    assert any("key points outside the image, taken as not labelled" in note for note in checked(root)[0].notes())
