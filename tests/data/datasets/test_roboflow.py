"""The layouts of Roboflow's and CVAT's exports."""

import json
import shutil
from pathlib import Path

from tests.data.datasets.animals import animals
from tests.data.datasets.layouts import same
from workbench.data.datasets.folder import format_of, open_dataset


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
