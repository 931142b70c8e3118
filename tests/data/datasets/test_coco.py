"""COCO's layout, and the real data set where there is one."""

from pathlib import Path

import pytest

from tests.data.datasets.folders import REAL, content, folder, real
from workbench.data.datasets.coco import CocoKeypoints
from workbench.data.datasets.folder import open_dataset


@pytest.mark.slow
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


def test_each_split_has_a_file_and_a_folder_of_its_own(tmp_path: Path) -> None:
    assert not CocoKeypoints.holds(tmp_path)
    folder(tmp_path, content(), "val2017")
    assert CocoKeypoints.holds(tmp_path) and CocoKeypoints.splits(tmp_path) == ("train2017", "val2017")
    assert CocoKeypoints.annotation_file(tmp_path, "val2017").is_file()
    assert CocoKeypoints.image_folder(tmp_path, "val2017") == tmp_path / "val2017"
    assert not CocoKeypoints.annotation_file(tmp_path, "train2017").exists()
    data = open_dataset(tmp_path, "val")
    assert len(data) == 3 and len(data[0].skeleton) == 17
