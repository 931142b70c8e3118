"""COCO and CrowdPose folders: what is read, and that what is wrong with them is said before anything starts."""

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from workbench.core.errors import Refused
from workbench.data.datasets.annotations import Annotated
from workbench.data.datasets.coco import CocoKeypoints
from workbench.data.datasets.crowdpose import CrowdPose
from workbench.data.datasets.folder import open_dataset
from workbench.data.datasets.images import Unreadable
from workbench.data.datasets.masks import mask_of, unpack
from workbench.data.loader import Loader

REAL = Path(__file__).parents[3].parent / "shared" / "data"
real = pytest.mark.skipif(not REAL.is_dir(), reason="no real data beside the repository")
Content = dict[str, Any]


def content(keypoints: int = 17) -> Content:
    """Three images of 64x48: two persons and a crowd; nobody; one person."""

    def annotation(number: int, image: int, **more: object) -> Content:
        points = [n for i in range(keypoints) for n in (20 + i, 10 + i, i % 3)]
        plain = {"id": number, "image_id": image, "category_id": 1, "iscrowd": 0, "area": 300.0, "num_keypoints": 11}
        return {**plain, "bbox": [10, 5, 30, 40], "keypoints": points, **more}

    crowd = {"size": [48, 64], "counts": [48 * 60, 48 * 4]}
    nothing = [0] * 3 * keypoints
    people = [
        annotation(1, 7, bbox=[40.5, 20, 24, 28.5]),
        annotation(2, 9),
        annotation(3, 7),
        annotation(4, 7, iscrowd=1, num_keypoints=0, keypoints=nothing, bbox=[60, 0, 4, 48], segmentation=crowd),
    ]
    del people[2]["area"]
    images = [{"id": i, "file_name": f"{i}.jpg", "width": 64, "height": 48, "crowdIndex": i / 10} for i in (7, 8, 9)]
    return {"images": images, "annotations": people, "categories": [{"id": 1, "name": "person"}]}


def folder(root: Path, made: Content | str, split: str = "train2017") -> Path:
    (root / "annotations").mkdir(exist_ok=True)
    (root / split).mkdir(exist_ok=True)
    file = root / "annotations" / f"person_keypoints_{split}.json"
    file.write_text(made if isinstance(made, str) else json.dumps(made))
    for i in (7, 8, 9):
        cv2.imwrite(str(root / split / f"{i}.jpg"), np.full((48, 64, 3), 10 * i, np.uint8))
    return root


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
    assert data.coco() == content()


@pytest.mark.parametrize(
    "change", [{"num_keypoints": 0}, {"iscrowd": 1}, {"bbox": [20, 5, 0, 4]}, {"keypoints": [0] * 51}]
)
def test_who_cannot_be_learnt_from_is_ignored(change: Content, tmp_path: Path) -> None:
    made = content()
    made[A][1] |= {"segmentation": [[10, 5, 40, 5, 40, 45, 10, 45]]}
    assert open_dataset(folder(tmp_path, made), "train")[1].ignore is None
    made[A][1] |= change
    sample = open_dataset(folder(tmp_path, made), "train")[1]
    assert sample.ignore is not None and sample.ignore.sum() == 31 * 41 and len(sample) == 1


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
FAULTS: dict[str, tuple[Callable[[Content], None], str]] = {
    "key points": (put(A, 1, "keypoints", value=[0] * 42), "unknown key-point count, 51 .*: 1, first 2"),
    "category": (put("categories", 0, "keypoints", value=["nose"]), "unknown key-point count.*category 1 has 1"),
    "no key points": (lambda c: c[A][0].pop("keypoints"), "without key points.*: 1, first 1"),
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
    "twice": (put(A, 1, "id", value=1), "annotations with an id that is taken: 1, first 1"),
    "image twice": (put(I, 1, "id", value=7), "images with an id that is taken: 1, first 7"),
    "leaves": (put(I, 0, "file_name", value="../7.jpg"), r"file_name leaves.*: 1, first \.\./7.jpg"),
    "absolute": (put(I, 0, "file_name", value="/etc/7.jpg"), "file_name leaves.*: 1, first /etc/7.jpg"),
    "backslash": (put(I, 0, "file_name", value="a\\..\\..\\7.jpg"), "file_name leaves.*: 1"),
    "image": (put(I, 0, value={"id": 7}), r"images without a whole id.*: 1, first images\[0\]"),
    "extent": (put(I, 0, "width", value=0), "images without an extent: 1, first 7.jpg"),
    "missing": (put(I, 0, "file_name", value="none.jpg"), "images missing.*: 1, first none.jpg"),
    "runs": (put(A, 3, "segmentation", value={"counts": [3, 4]}), "segmentations that cannot.*: 1, first 4"),
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
    assert len(lines) == 5
    text = "\n".join(lines)
    assert "boxes outside the image, annotations: 10, first 10, 11, 12\n" in text and "NaN" in text
    assert "broken images: 1, first 9.jpg (a JPEG that is cut off)" in text and "missing" in text


def test_faults_of_the_folder(tmp_path: Path) -> None:
    with pytest.raises(Refused, match=r"no data folder .*nowhere; give the folder of COCO or CrowdPose"):
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
    (root / "train2017" / "9.jpg").write_bytes(b"\xff\xd8\xff" + bytes(99) + b"\xff\xd9")
    cv2.imwrite(str(root / "train2017" / "7.jpg"), np.zeros((64, 48, 3), np.uint8))
    data = open_dataset(root, "train")
    with pytest.raises(Refused, match=r"broken images: 1, first 9.jpg .not an image"):
        data.check(decode=True)
    with pytest.raises(Unreadable, match=r"7.jpg: 48x64 pixels, annotated for 64x48"):
        data[0]
    cv2.imwrite(str(root / "train2017" / "7.jpg"), np.zeros((48, 64, 3), np.uint8))
    loader = Loader(data, 2, seed=0)
    assert [len(b.image_ids) for b in loader(0)] == [1]
    assert list(loader.unreadable) == [str(root / "train2017" / "9.jpg")]


@pytest.mark.parametrize("inside", ["json", "."])
def test_crowdpose(inside: str, tmp_path: Path) -> None:
    made = content(14)
    (tmp_path / inside).mkdir(exist_ok=True)
    (tmp_path / "images").mkdir()
    for split in ("train", "val"):
        (tmp_path / inside / f"crowdpose_{split}.json").write_text(json.dumps(made))
    for i in (7, 8, 9):
        cv2.imwrite(str(tmp_path / "images" / f"{i}.jpg"), np.zeros((48, 64, 3), np.uint8))
    train, val = open_dataset(tmp_path, "train"), open_dataset(tmp_path, "val")
    assert isinstance(train, CrowdPose) and len(train) == 2 and len(val) == 3
    assert train[0].persons.keypoints.shape == (3, 14, 2) and train[1].crowd_index == pytest.approx(0.9)
    assert val.coco()["images"][1]["crowdIndex"] == 0.8
    for split in ("trainval", "test"):
        made["images"][0]["crowdIndex"] = 0.5
        (tmp_path / inside / f"crowdpose_{split}.json").write_text(json.dumps(made))
    assert open_dataset(tmp_path, "train").file.name == "crowdpose_trainval.json"
    assert open_dataset(tmp_path, "val").file.name == "crowdpose_test.json"


def test_run_lengths_and_polygons() -> None:
    mask = np.zeros((9, 11), np.uint8)
    mask[2:7, 3:9], mask[4, 5], mask[8, 10] = 1, 0, 1
    flat = mask.T.ravel()
    edges = (np.flatnonzero(np.diff(flat)) + 1).tolist()
    counts = np.diff(np.array([0, *edges, len(flat)])).tolist()
    assert np.array_equal(mask_of({"counts": counts, "size": [9, 11]}, 9, 11), mask)
    assert np.array_equal(mask_of({"counts": packed(counts)}, 9, 11), mask)
    assert unpack(packed([0, 100000, 3, 7, 9999, 1])) == [0, 100000, 3, 7, 9999, 1]
    square = mask_of([[1, 1, 4, 1, 4, 4, 1, 4], [3, 3, 6, 3, 6, 6, 3, 6]], 9, 11)
    assert square.sum() == 16 + 16 - 4 and square[1:5, 1:5].all()
    for wrong in ({"counts": [1, 2]}, {"counts": None}, [[1, 2, 3]], [[1.0, float("nan")]], {"counts": [-1, 100]}):
        with pytest.raises(Refused):
            mask_of(wrong, 9, 11)


def packed(counts: list[int]) -> str:
    """COCO's string of run lengths, written here from its description."""
    text = ""
    for i, count in enumerate(counts):
        value, more = count - (counts[i - 2] if i > 2 else 0), True
        while more:
            bits, value = value & 31, value >> 5
            more = value != (-1 if bits & 16 else 0)
            text += chr(48 + bits + 32 * more)
    return text


@real
def test_real_coco() -> None:
    for split, images, persons in (("train", 160, 403), ("val", 229, 627)):
        data = open_dataset(REAL / "coco", split)  # pyright: ignore[reportArgumentType]
        truth = data.coco()
        assert len(data) == images
        assert sum(a["num_keypoints"] > 0 for a in truth["annotations"]) == persons
        crowded = next(i for i, a in enumerate(truth["annotations"]) if a["iscrowd"])
        picture = truth["annotations"][crowded]["image_id"]
        sample = next(s for s in data if s.image_id == picture)
        assert sample.ignore is not None and 0 < sample.ignore.mean() < 1
        assert sample.persons.keypoints.shape[1:] == (17, 2)
        assert max(s.persons.visible.max() for s in data if len(s)) == 2


@real
def test_real_crowdpose() -> None:
    data: Annotated = CrowdPose(REAL / "crowdpose", "test", REAL / "crowdpose" / "test_crowdpose.json")
    data.check(decode=True)
    assert len(data) == 2 and [len(s) for s in data] == [3, 2] and data[0].crowd_index == pytest.approx(0.33)
    with pytest.raises(Refused, match=r"images missing from .*: 2000, first"):
        open_dataset(REAL / "crowdpose", "val")
