"""A data set written anew is the same one."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.data.datasets.animals import NAMES, animals, labelled
from tests.data.datasets.layouts import same
from workbench.core.errors import Refused
from workbench.data.datasets.export import convert_dataset
from workbench.data.datasets.folder import dataset_keypoints, open_dataset


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
