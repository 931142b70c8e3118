"""CrowdPose's layouts and splits, and the real data set where there is one."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.data.datasets.folders import REAL, content, real
from workbench.core.errors import Refused
from workbench.data.datasets.annotations import Annotated
from workbench.data.datasets.crowdpose import CrowdPose
from workbench.data.datasets.folder import open_dataset


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


@real
def test_real_crowdpose() -> None:
    data: Annotated = CrowdPose(REAL / "crowdpose", "test", REAL / "crowdpose" / "test_crowdpose.json")
    data.check(decode=True)
    assert len(data) == 2 and [len(s) for s in data] == [3, 2] and data[0].crowd_index == pytest.approx(0.33)
    with pytest.raises(Refused, match=r"images missing from .*: 2,000, first"):
        open_dataset(REAL / "crowdpose", "val")
