"""Layouts of other tools: the same persons are read from each, and a data set written anew is the same one."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from tests.data.datasets.animals import NAMES, animals, labelled
from workbench.core.errors import Refused
from workbench.data.datasets.annotations import Annotated
from workbench.data.datasets.export import convert_dataset
from workbench.data.datasets.folder import dataset_fingerprint, dataset_keypoints, format_of, open_dataset
from workbench.data.datasets.listed import write_list


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORKBENCH_HOME", str(tmp_path / "home"))


def same(one: Annotated, other: Annotated, within: float = 0.0) -> bool:
    """The same images and persons, whatever their order."""
    key = lambda sample: sample.persons.keypoints[0, 0, 0]  # noqa: E731
    pairs = list(zip(sorted(one, key=key), sorted(other, key=key), strict=True))
    return all(
        np.array_equal(a.image, b.image)
        and np.allclose(a.persons.keypoints, b.persons.keypoints, atol=within)
        and np.allclose(a.persons.boxes, b.persons.boxes, atol=within)
        and np.array_equal(a.persons.visible, b.persons.visible)
        for a, b in pairs
    )


def test_roboflow_and_cvat(tmp_path: Path) -> None:
    plain = animals(tmp_path / "plain")
    for split, other in (("train2017", "train"), ("val2017", "valid")):
        shutil.copytree(plain / split, tmp_path / "roboflow" / other)
        made = json.loads((plain / "annotations" / f"person_keypoints_{split}.json").read_text())
        made["categories"].insert(0, {"id": 0, "name": "animals", "supercategory": "none"})
        (tmp_path / "roboflow" / other / "_annotations.coco.json").write_text(json.dumps(made))
    for split, other in (("train2017", "Train"), ("val2017", "Validation")):
        shutil.copytree(plain / split, tmp_path / "cvat" / "images" / other)
        (tmp_path / "cvat" / "annotations").mkdir(exist_ok=True)
        file = tmp_path / "cvat" / "annotations" / f"person_keypoints_{other}.json"
        shutil.copy(plain / "annotations" / f"person_keypoints_{split}.json", file)
    for name in ("roboflow", "cvat"):
        assert same(open_dataset(tmp_path / name, "train"), open_dataset(plain, "train"))
        assert same(open_dataset(tmp_path / name, "val"), open_dataset(plain, "val"))
    assert format_of(tmp_path / "roboflow").name == "Roboflow"
    assert (
        "categories without an annotation or key points, left out: 1, first 'animals'"
        in open_dataset(tmp_path / "roboflow", "val").look().notes()
    )


@pytest.mark.parametrize("layout", ["coco", "yolo"])
def test_written_anew_it_is_the_same(layout: Any, tmp_path: Path) -> None:
    plain = animals(tmp_path / "plain")
    assert convert_dataset(plain, tmp_path / "out", layout) == {"train": 4, "val": 3}
    for split in ("train", "val"):
        assert same(open_dataset(tmp_path / "out", split), open_dataset(plain, split), 1e-3)  # pyright: ignore
    assert dataset_keypoints(tmp_path / "out").skeleton.keypoints == NAMES
    assert dataset_keypoints(tmp_path / "out").skeleton.flip == dataset_keypoints(plain).skeleton.flip
    sigmas = {name: 0.03 + k / 100 for k, name in enumerate(NAMES)}
    (plain / "keypoints.json").write_text(json.dumps({"sigmas": sigmas, "pairs": []}))
    convert_dataset(plain, tmp_path / "changed", layout)
    found = dataset_keypoints(tmp_path / "changed").skeleton
    assert found.sigmas == tuple(sigmas.values()) and found.flip == (0, 1, 2, 3, 4)
    with pytest.raises(Refused, match="out is not empty"):
        convert_dataset(plain, tmp_path / "out", layout)


def test_a_set_without_a_part_to_judge_on_is_split(tmp_path: Path) -> None:
    plain = animals(tmp_path / "plain")
    (plain / "annotations" / "person_keypoints_val2017.json").unlink()
    (plain / "annotations" / "person_keypoints_train2017.json").rename(
        plain / "annotations" / "person_keypoints_default.json"
    )
    (plain / "train2017").rename(plain / "images")
    assert convert_dataset(plain, tmp_path / "out", val_share=0.25) == {"train": 3, "val": 1}
    parts = [{one.image_id for one in open_dataset(tmp_path / "out", part)} for part in ("train", "val")]  # pyright: ignore
    assert not parts[0] & parts[1] and len(parts[0] | parts[1]) == 4
    with pytest.raises(Refused, match=r"a share of 0.01 of 4 images leaves one part empty"):
        convert_dataset(plain, tmp_path / "none", val_share=0.01)


def test_what_nobody_is_in_may_be_missing_and_a_part_to_judge_on_is_not_lost(tmp_path: Path) -> None:
    made = labelled(4, 1)
    made["images"].append({"id": 9, "file_name": "9.png", "width": 64, "height": 64})
    plain = animals(tmp_path / "plain", made)
    (plain / "train2017" / "9.png").unlink()
    assert convert_dataset(plain, tmp_path / "out") == {"train": 4, "val": 3}
    with pytest.raises(Refused, match="has a part to be judged on"):
        convert_dataset(plain, tmp_path / "split", val_share=0.25)
    (tmp_path / "file").touch()
    with pytest.raises(Refused, match="file is not empty"):
        convert_dataset(plain, tmp_path / "file")


def yolo(root: Path, **change: Any) -> Path:
    convert_dataset(animals(root / "plain"), root / "yolo", "yolo")
    file = root / "yolo" / "data.yaml"
    said = {**yaml.safe_load(file.read_text()), **change}
    file.write_text(yaml.safe_dump({key: value for key, value in said.items() if value is not None}))
    return root / "yolo"


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


def listed(root: Path, *parts: Path) -> Path:
    """The parts to train on, and the first one's to be judged on."""
    files = [(one / "annotations" / "person_keypoints_train2017.json", one / "train2017") for one in parts]
    val = parts[0] / "annotations" / "person_keypoints_val2017.json", parts[0] / "val2017"
    return write_list(root, files, [val])


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
