"""COCO and CrowdPose folders: what is read, and that what is wrong with them is said before anything starts."""

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from tests.data.datasets.folders import Content, content, folder
from workbench.core.errors import Refused
from workbench.data.datasets.coco import CocoKeypoints
from workbench.data.datasets.folder import open_dataset
from workbench.data.datasets.images import Unreadable
from workbench.data.loader import Loader


def test_samples(tmp_path: Path) -> None:
    data = open_dataset(folder(tmp_path, content()), "train")
    assert isinstance(data, CocoKeypoints) and len(data) == 2, "training takes images with annotations only"
    sample = data[0]
    assert sample.image.shape == (48, 64, 3) and sample.image_id == 7 and len(sample) == 3
    # the box is clipped to the last pixel, not to the edge
    assert np.allclose(sample.persons.boxes, [[40.5, 20, 63, 47], [10, 5, 40, 45], [60, 0, 63, 47]])
    assert np.allclose(sample.persons.areas, [300, 0.53 * 30 * 40, 300]), "without an area: 0.53 of the box"
    assert sample.persons.keypoints[0, 3].tolist() == [23, 13]
    assert sample.persons.visible[0, :4].tolist() == [0, 1, 2, 0]
    assert sample.persons.labels.tolist() == [0, 0, 0] and (sample.persons.keypoint_weights == 1).all()
    assert sample.ignore is not None and sample.ignore[:, 60:].all() and not sample.ignore[:, :60].any()
    assert data[1].ignore is None
    truth = data.coco()
    right = content()
    right["annotations"][2]["area"] = 0.53 * 30 * 40
    del right["annotations"][3]["segmentation"]
    right["categories"][0]["skeleton"] = [[a + 1, b + 1] for a, b in data.skeleton.limbs]
    assert truth == right, "the same is judged by"


@pytest.mark.parametrize("change", [{"iscrowd": 1}, {"bbox": [20, 5, 0, 4]}, {"keypoints": [0] * 51}])
def test_who_cannot_be_learnt_from_is_ignored(change: Content, tmp_path: Path) -> None:
    made = content()
    made[A][1] |= {"segmentation": [[10, 5, 40, 5, 40, 45, 10, 45]]}
    assert open_dataset(folder(tmp_path, made), "train")[1].ignore is None
    made[A][1] |= change
    sample = open_dataset(folder(tmp_path, made), "train")[1]
    assert sample.ignore is not None and sample.ignore.sum() == 30 * 40 and len(sample) == 1


def test_evaluation_takes_images_of_nobody(tmp_path: Path) -> None:
    data = open_dataset(folder(tmp_path, content(), "val2017"), "val")
    assert [s.image_id for s in data] == [7, 8, 9] and data[1].persons.keypoints.shape == (0, 17, 2)
    assert data[1].persons.visible.shape == (0, 17) and data[1].persons.boxes.shape == (0, 4)


def put(*path: object, value: object) -> Callable[[Content], None]:
    def change(made: Content) -> None:
        at: Any = made
        for step in path[:-1]:
            at = at[step]
        at[path[-1]] = value

    return change


A, I = "annotations", "images"  # noqa: E741
FAULTS: dict[str, tuple[Callable[[Content], object], str]] = {
    "key points": (put(A, 1, "keypoints", value=[0] * 42), "unknown key-point count, 51 .*: 1, first 2"),
    "category": (
        put("categories", 0, "keypoints", value=["nose"]),
        "unknown key-point count, 3 .*person.*: 4, first 1",
    ),
    "words": (put(A, 1, "keypoints", 5, value="x"), "no numbers: 1, first 2"),
    "nan": (put(A, 1, "keypoints", 3, value=float("nan")), "NaN.*: 1, first 2"),
    "nan box": (put(A, 1, "bbox", 0, value=float("inf")), "NaN.*: 1, first 2"),
    "nan area": (put(A, 1, "area", value=float("nan")), "NaN.*: 1, first 2"),
    "area": (put(A, 1, "area", value="big"), "area that is no number: 1, first 2"),
    "box": (put(A, 1, "bbox", value=[1, 2, 3]), "bbox of four numbers: 1, first 2"),
    "outside": (put(A, 1, "bbox", value=[70, 5, 30, 40]), "boxes outside the image.*: 1, first 2"),
    "beyond": (put(A, 1, "bbox", value=[10, 5, 30, 60]), "boxes outside the image.*: 1, first 2"),
    "visibility": (put(A, 1, "keypoints", 2, value=3), "visibility other than 0, 1, 2.*: 1, first 2"),
    "no image": (put(A, 1, "image_id", value=99), "annotations of no image.*: 1, first 2"),
    "no category": (put(A, 1, "category_id", value=5), "annotations of no category.*: 1, first 2"),
    "image twice": (put(I, 1, "id", value=7), "images with an id that is taken: 1, first 7"),
    "leaves": (put(I, 0, "file_name", value="a/.."), r"file_name leaves.*: 1, first \.\."),
    "absolute": (put(I, 0, "file_name", value="/etc/passwd"), "images missing from .*: 1, first passwd"),
    "backslash": (put(I, 0, "file_name", value="a\\..\\..\\b.jpg"), "images missing from .*: 1, first b.jpg"),
    "image": (put(I, 0, value={"id": 7}), r"images without a whole id.*: 1, first images\[0\]"),
    "size": (put(I, 0, "width", value=60), r"of another size.*: 1, first 7.jpg .64x48 pixels, annotated for 60x48."),
    "two names": (put(I, 1, "file_name", value="7.jpg"), "stand in the file more than once: 1, first 7.jpg"),
    "negative": (put(A, 1, "bbox", value=[40, 5, -30, 40]), "negative width or height.*: 1, first 2"),
    "nobody": (lambda c: [one.update(keypoints=[0] * 51) for one in c[A]], "nobody in .* has a labelled key point"),
    "missing": (put(I, 0, "file_name", value="none.jpg"), "images missing.*: 1, first none.jpg"),
    "empty": (put(A, value=[]), "an empty set"),
    "lists": (put(A, value={}), "no COCO annotation file; expected the lists images, annotations"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_faults_are_named_with_a_count(fault: str, tmp_path: Path) -> None:
    made = content()
    change, said = FAULTS[fault]
    change(made)
    with pytest.raises(Refused, match=said):
        open_dataset(folder(tmp_path, made), "train")


def test_faults_of_the_file_also_stop_a_set_that_was_not_checked(tmp_path: Path) -> None:
    made = content()
    made[A][0]["bbox"][0] = float("nan")
    data = CocoKeypoints(folder(tmp_path, made))
    for use in (lambda: data[0], data.coco):
        with pytest.raises(Refused, match="NaN"):
            use()


def test_all_faults_in_one_message(tmp_path: Path) -> None:
    made = content()
    for number in range(10, 20):
        made[A].append({**copy.deepcopy(made[A][1]), "id": number, "bbox": [70, 5, 3, 4]})
    made[A][0]["keypoints"][0] = float("nan")
    root = folder(tmp_path, made)
    (root / "train2017" / "9.jpg").write_bytes((root / "train2017" / "9.jpg").read_bytes()[:200])
    (root / "train2017" / "7.jpg").unlink()
    made[A][2]["image_id"] = 7
    with pytest.raises(Refused) as caught:
        open_dataset(root, "train")
    lines = str(caught.value).splitlines()
    assert len(lines) == 5, lines
    text = "\n".join(lines)
    assert "boxes outside the image, annotations: 10, first 10, 11, 12\n" in text and "NaN" in text
    assert "broken images: 1, first 9.jpg (a JPEG that is cut off)" in text and "missing" in text


def test_faults_of_the_folder(tmp_path: Path) -> None:
    with pytest.raises(Refused, match=r"no data folder .*nowhere; give the folder of COCO or CrowdPose or Rob"):
        open_dataset(tmp_path / "nowhere", "train")
    with pytest.raises(Refused, match=r"no data set of a known format: COCO .annotations/.*; CrowdPose .json/"):
        open_dataset(tmp_path, "train")
    root = folder(tmp_path, '{"images": [')
    with pytest.raises(Refused, match=r"malformed JSON in person_keypoints_train2017.json: .*line 1"):
        open_dataset(root, "train")
    with pytest.raises(Refused, match=r"no image folder .*val2017\n.*no annotation file .*val2017.json"):
        open_dataset(root, "val")


def test_a_whole_looking_file_that_cannot_be_decoded(tmp_path: Path) -> None:
    root = folder(tmp_path, content())
    image = root / "train2017" / "9.jpg"
    start = image.read_bytes().index(b"\xff\xda")
    image.write_bytes(image.read_bytes()[:start] + b"\xff\xd9")
    data = open_dataset(root, "train")
    with pytest.raises(Refused, match=r"broken images: 1, first 9.jpg .not an image"):
        data.check(decode=True)
    loader = Loader(data, 2, seed=0)
    assert [len(b.image_ids) for b in loader(0)] == [1]
    assert list(loader.unreadable) == [str(image)]
    cv2.imwrite(str(root / "train2017" / "7.jpg"), np.zeros((64, 48, 3), np.uint8))
    with pytest.raises(Unreadable, match=r"7.jpg: 48x64 pixels, annotated for 64x48"):
        data[0]
