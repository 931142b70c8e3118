"""The key points of a data set: by their names, in any order; what is not in the file is said, and what is wrong."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.data.datasets.animals import LIMBS, NAMES, animals, category, labelled
from tests.data.datasets.folders import content, folder
from workbench.core.errors import Refused
from workbench.core.skeletons import COCO, CROWDPOSE
from workbench.data.datasets.folder import dataset_keypoints, open_dataset
from workbench.data.transforms.geometry import mirrored
from workbench.evaluation.coco_ap import evaluate_coco
from workbench.tensors import Detections, Sample


def side(root: Path, **parts: Any) -> Path:
    (root / "keypoints.json").write_text(json.dumps(parts))
    return root


def both(root: Path, made: dict[str, Any]) -> Path:
    for split in ("train2017", "val2017"):
        folder(root, made, split)
    return root


def as_found(sample: Sample) -> Detections:
    persons = sample.persons
    return Detections(
        boxes=persons.boxes,
        scores=np.ones(len(sample), np.float32),
        labels=persons.labels,
        keypoints=persons.keypoints,
        keypoint_scores=np.ones(persons.visible.shape, np.float32),
        image_id=sample.image_id,
    )


def test_a_set_of_its_own(tmp_path: Path) -> None:
    found = dataset_keypoints(animals(tmp_path))
    assert found.said == (
        "key points: 5 of 'goat' (nose, tail_base, left_paw, right_paw, back); 1 mirror pairs from left and right in "
        "their names; sigmas 0.067 for all, the mean of COCO's (keypoints.json can give others)"
    )
    assert found.skeleton.keypoints == NAMES and found.skeleton.limbs == LIMBS
    assert found.skeleton.flip == (0, 1, 3, 2, 4) and set(found.skeleton.sigmas) == {0.067}
    sample = open_dataset(tmp_path, "train")[0]
    assert sample.skeleton == found.skeleton
    turned = mirrored(sample).persons.keypoints[0, :, 0]
    assert np.allclose(63 - turned[[0, 1, 3, 2, 4]], sample.persons.keypoints[0, :, 0])


def test_another_order_is_put_right_in_samples_and_truth(tmp_path: Path) -> None:
    order = (4, 2, 0, 3, 1)
    straight = animals(tmp_path / "a")
    turned = animals(tmp_path / "b", val=labelled(3, 2, order))
    assert dataset_keypoints(turned).said.endswith("; the columns of 1 of 2 categories are put in its order")
    plain, put = open_dataset(straight, "val"), open_dataset(turned, "val")
    assert np.array_equal(plain[1].persons.keypoints, put[1].persons.keypoints)
    assert plain.coco()["annotations"] == put.coco()["annotations"]
    assert put.coco()["categories"] == [category()]
    perfect = evaluate_coco(put.coco(), [as_found(one) for one in put], put.skeleton.sigmas)
    assert perfect["AP"] == 1 and perfect["NME"] < 1e-6


@pytest.mark.parametrize("count", [17, 14])
def test_published_names_are_that_set_in_any_layout(count: int, tmp_path: Path) -> None:
    made = content(count)
    names: list[str] = made["categories"][0]["keypoints"]
    order = [*range(1, count), 0]
    made["categories"][0]["keypoints"] = [names[k].replace("_", " ").title() for k in order]
    data = open_dataset(both(tmp_path, made), "train")
    assert data.skeleton is {17: COCO, 14: CROWDPOSE}[count]
    first = np.reshape(made["annotations"][0]["keypoints"], (-1, 3))
    assert np.array_equal(data[0].persons.keypoints[0, 0], first[count - 1, :2])  # its first name stands last


def test_as_many_other_points_as_coco_has_are_not_coco(tmp_path: Path) -> None:
    made = content(17)
    made["categories"][0] |= {"name": "lamp", "keypoints": [f"bulb {k}" for k in range(17)]}
    assert open_dataset(both(tmp_path, made), "train").skeleton.name == "lamp"


def test_names_that_no_category_gives(tmp_path: Path) -> None:
    made = content(17)
    del made["categories"][0]["keypoints"]
    root = both(tmp_path, made)
    with pytest.raises(Refused, match=r"no category names its key points.*\"set\": \"coco\""):
        dataset_keypoints(root)
    with pytest.raises(Refused, match=r"correct it first:\n.*no category names its key points"):
        open_dataset(root, "train")
    side(root, set="coco")
    assert open_dataset(root, "train").skeleton is COCO
    side(root, names=[*COCO.keypoints[1:], "nose"])
    data = open_dataset(root, "train")
    first = np.reshape(made["annotations"][0]["keypoints"], (-1, 3))
    assert data.skeleton is COCO and np.array_equal(data[0].persons.keypoints[0, 0], first[16, :2])
    side(root, names=["a"] * 2)
    with pytest.raises(Refused, match=r"keypoints.json: key-point name 'a' stands 2 times"):
        dataset_keypoints(root)


def test_a_category_that_nobody_has_needs_no_names(tmp_path: Path) -> None:
    made = labelled(4, 1)
    made["categories"].append({"id": 2, "name": "animals"})
    assert len(open_dataset(animals(tmp_path, made), "train")) == 4
    made["annotations"][3]["category_id"] = 2
    with pytest.raises(Refused, match="annotations of a category that names no key points: 1, first 4"):
        open_dataset(animals(tmp_path, made), "train")


def test_files_and_categories_must_have_the_same_names(tmp_path: Path) -> None:
    other = labelled(3, 2)
    other["categories"][0]["keypoints"][1] = "hoof"
    said = r"person_keypoints_val2017.json: category 1 'goat' has not the key points of goat: without tail_base and wi"
    with pytest.raises(Refused, match=said):
        dataset_keypoints(animals(tmp_path, val=other))
    other["categories"] = [category(), category(id=2, keypoints=["nose"], skeleton=[])]
    with pytest.raises(Refused, match="category 2 'goat' has not the key points of goat: without tail_base, left_paw"):
        dataset_keypoints(animals(tmp_path, val=other))


@pytest.mark.parametrize(
    ("parts", "said"),
    [
        ({"sigmas": [0.1, 0.2]}, r"keypoints.json: 2 sigmas for 5 key points"),
        ({"pairs": [["left_paw", "right_hoof"]]}, "pairs speak of 'right_hoof'; there are nose"),
        ({"limbs": [["nose", "hoof"]]}, "limbs speak of 'hoof'"),
        ({"set": "coco"}, "not the key points of coco: without left_eye, right_eye"),
        ({"set": "goats"}, "no key-point set 'goats'"),
    ],
)
def test_a_side_file_that_does_not_fit_is_refused(parts: dict[str, Any], said: str, tmp_path: Path) -> None:
    with pytest.raises(Refused, match=said):
        dataset_keypoints(side(animals(tmp_path), **parts))


def test_a_side_file_gives_what_the_file_can_not(tmp_path: Path) -> None:
    root = side(
        animals(tmp_path), sigmas={**dict.fromkeys(NAMES, 0.05), "nose": 0.02}, pairs=[], limbs=[["nose", "back"]]
    )
    found = dataset_keypoints(root)
    assert found.skeleton.sigmas == (0.02, 0.05, 0.05, 0.05, 0.05)
    assert found.skeleton.flip == (0, 1, 2, 3, 4) and found.skeleton.limbs == ((0, 4),)
    assert "0 pairs of keypoints.json; sigmas of keypoints.json" in found.said
    (tmp_path / "coco").mkdir()
    changed = dataset_keypoints(side(both(tmp_path / "coco", content()), sigmas=0.05))
    assert changed.skeleton != COCO and changed.skeleton.keypoints == COCO.keypoints
    assert changed.said == "key points: coco (17), by their names; sigmas of keypoints.json"


def test_a_side_without_the_other_asks_for_pairs(tmp_path: Path) -> None:
    made = [labelled(count, seed) for count, seed in ((4, 1), (3, 2))]
    for one in made:
        one["categories"][0]["keypoints"][3] = "hoof"
    with pytest.raises(
        Refused, match=r"'left_paw' has no mirror .*; give the pairs in .*keypoints.json: .*\[\] for none"
    ):
        dataset_keypoints(animals(tmp_path, *made))
    assert dataset_keypoints(side(tmp_path, pairs=[])).skeleton.flip == (0, 1, 2, 3, 4)


def test_limbs_of_other_key_points_are_left_out_and_counted(tmp_path: Path) -> None:
    made = labelled(4, 1)
    made["categories"][0]["skeleton"] = [[1, 5], [16, 14]]
    found = dataset_keypoints(animals(tmp_path, made))
    assert found.skeleton.limbs == ((0, 4),) and found.said.endswith("; 1 limbs of other key points left out")


def test_constants_are_estimated_from_persons_that_were_annotated_twice(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    truth = np.array([0.02, 0.08, 0.05, 0.05, 0.04])
    made = labelled(40, 1)
    for one in list(made["annotations"]):
        spread = truth[:, None] * one["area"] ** 0.5 / 2**0.5  # of each coordinate
        points = np.reshape(one["keypoints"], (5, 3))
        twice = [np.concatenate([points[:, :2] + rng.normal(size=(5, 2)) * spread, points[:, 2:]], 1) for _ in range(2)]
        one["keypoints"] = twice[0].ravel().tolist()
        made["annotations"].append({**one, "id": 100 + one["id"], "keypoints": twice[1].ravel().tolist()})
    found = dataset_keypoints(animals(tmp_path, made))
    assert "sigmas estimated from 40 persons annotated more than once" in found.said
    assert np.allclose(found.skeleton.sigmas, truth, rtol=0.25)
    assert found.skeleton.sigmas[2] == found.skeleton.sigmas[3], "both sides are estimated together"


def test_copies_and_too_few_repeats_estimate_nothing(tmp_path: Path) -> None:
    made = labelled(40, 1)
    for one in list(made["annotations"]):
        made["annotations"].append({**one, "id": 100 + one["id"]})
    assert "sigmas 0.067 for all" in dataset_keypoints(animals(tmp_path, made)).said
