"""Numbers of another unit are refused, a single slip is told."""

from pathlib import Path

import numpy as np
import pytest

from tests.data.datasets.changed import Change, Content, moved, persons, written
from workbench.core.errors import DataFault
from workbench.data.datasets import plausible
from workbench.data.datasets.findings import Findings
from workbench.data.datasets.folder import checked, open_dataset
from workbench.data.datasets.plausible import Looks, check_twice


def relative(c: Content) -> None:
    for one in c["annotations"]:
        points = np.reshape(one["keypoints"], (-1, 3)) - [*one["bbox"][:2], 0]
        one["keypoints"] = points.ravel().tolist()


def corners(c: Content) -> None:
    for one in c["annotations"]:
        x, y, w, h = one["bbox"]
        one["bbox"] = [x, y, x + w, y + h]


def twice(c: Content) -> None:
    c["annotations"] += [{**one, "id": one["id"] + 100} for one in c["annotations"]]


WRONG: dict[str, tuple[Change, str]] = {
    "normalised": (moved(1 / 64), r"key points that look normalised .*: 4, first 1, 2, 3"),
    "relative to the box": (relative, r"key points that look relative to their box, annotations: \d, first"),
    "outside": (moved(1, 500), r"labelled key points far outside the image, annotations: 4, first 1, 2, 3"),
    "twice": (twice, r"persons that stand there twice, .*: 4, first 101, 102, 103"),
    "normalised boxes": (persons(bbox=[0.1, 0.1, 0.7, 0.7]), r"boxes that look normalised .*: 4, first 1, 2, 3"),
    "corners": (corners, r"boxes that look like two corners, x, y, width, height expected, annotations: \d, first"),
}


@pytest.mark.parametrize("fault", WRONG)
def test_another_unit_is_refused_for_both_parts_at_once(fault: str, tmp_path: Path) -> None:
    change, said = WRONG[fault]
    with pytest.raises(DataFault, match=said) as refused:
        checked(written(tmp_path, change))
    assert str(refused.value).count("with the images of") == 2


def test_it_is_the_same_however_many_are_looked_at_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plausible, "PERSONS_TOGETHER", 3)
    for fault, (change, said) in WRONG.items():
        with pytest.raises(DataFault, match=said):
            checked(written(tmp_path / fault, change))


def test_one_misplaced_person_is_told_and_kept(tmp_path: Path) -> None:
    root = written(tmp_path, lambda c: c["annotations"][0].update(bbox=[1, 50, 8, 8]))
    said = "persons with most of their key points outside their box, annotations: 1, first 1"
    assert f"train: {said}" in checked(root)[0].notes() and len(open_dataset(root, "train")[0]) == 1


def test_persons_are_found_twice_though_another_one_in_their_box_stands_between_them() -> None:
    points = np.array([[[5.0, 5.0, 2.0]], [[6.0, 6.0, 2.0]], [[5.0, 5.0, 2.0]]])
    boxes, sizes = np.tile([0.0, 0.0, 9.0, 9.0], (3, 1)), np.full((3, 2), 64.0)
    findings = Findings()
    names = np.array(["a", "b", "c"], object)
    check_twice(Looks(names, boxes, sizes, points, points[..., 2] > 0), np.zeros(3, np.int64), findings)
    assert any("annotations: 1, first c" in line for line in findings.notes())
