"""Results files: read back, put to the truth's ids and columns, and refused with what is wrong."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.data.datasets.animals import labelled
from tests.data.datasets.folders import content
from tests.data.datasets.test_truth_file import read
from workbench.core.errors import Refused
from workbench.core.skeletons import COCO
from workbench.data.datasets.result_rows import ResultsFile, read_results
from workbench.data.datasets.truth_file import TruthFile
from workbench.evaluation.coco_ap import coco_results, result_rows
from workbench.tensors import Detections


def row(**changes: Any) -> dict[str, Any]:
    plain = {"image_id": 1, "category_id": 1, "keypoints": list(range(15)), "score": 0.5, "bbox": [1, 2, 3, 4]}
    return {key: value for key, value in (plain | changes).items() if value is not None}


@pytest.fixture
def truth(tmp_path: Path) -> TruthFile:
    return read(tmp_path, labelled(3, 0))


def found(folder: Path, rows: Any, truth: TruthFile) -> ResultsFile:
    file = folder / "results.json"
    file.write_text(rows if isinstance(rows, str) else json.dumps(rows))
    return read_results(file, truth)


def test_rows_that_we_write_come_back(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    given = [
        Detections(
            boxes=np.sort(rng.uniform(0, 60, (n, 2, 2)), axis=1).reshape(n, 4).astype(np.float32),
            scores=np.sort(rng.uniform(0, 1, n).astype(np.float32))[::-1],
            labels=np.zeros(n, np.int64),
            keypoints=rng.uniform(0, 60, (n, 17, 2)).astype(np.float32),
            keypoint_scores=rng.uniform(0, 1, (n, 17)).astype(np.float32),
            image_id=image,
        )
        for image, n in ((7, 3), (9, 2))
    ]
    truth = read(tmp_path, content())
    back = found(tmp_path, coco_results(given, COCO), truth)
    assert back.boxes and back.persons == 5 and back.notes == ()
    for one, other in zip(given, back.detections, strict=True):
        assert one.image_id == other.image_id and np.array_equal(one.scores, other.scores.astype(np.float32))
        assert np.array_equal(one.keypoints, other.keypoints) and np.array_equal(one.labels, other.labels)
        np.testing.assert_allclose(one.boxes, other.boxes, atol=1e-5)
    bare = found(tmp_path, coco_results(given, COCO, area_from="keypoints"), truth)
    assert not bare.boxes and coco_results(bare.detections, COCO, "keypoints") == coco_results(given, COCO, "keypoints")
    assert found(tmp_path, {"annotations": coco_results(given, COCO)}, truth).persons == 5
    assert found(tmp_path, [], truth).detections == []


def test_an_image_is_known_by_its_file(tmp_path: Path, truth: TruthFile) -> None:
    rows = [row(image_id=1, file_name="3.png"), row(image_id="2"), row(image_id=2.0, file_name="other.png")]
    assert [(one.image_id, len(one)) for one in found(tmp_path, rows, truth).detections] == [(3, 1), (2, 2)]


def test_columns_are_put_in_the_order_of_the_set(tmp_path: Path) -> None:
    made = content()
    made["categories"][0]["keypoints"] = [*reversed(COCO.keypoints)]
    truth = read(tmp_path, made)
    points = np.arange(51.0).reshape(17, 3)
    (one,) = found(tmp_path, [row(image_id=7, keypoints=points.ravel().tolist())], truth).detections
    assert np.array_equal(one.keypoints[0], points[::-1, :2]) and np.array_equal(
        one.keypoint_scores[0], points[::-1, 2]
    )


def test_the_only_category_may_have_another_number(tmp_path: Path, truth: TruthFile) -> None:
    taken = found(tmp_path, [row(category_id=5)], truth)
    assert (
        taken.persons == 1
        and taken.notes == ("category_id 5 of the results is taken for the only category, 'goat': 1, first 5",)
    ) or any("category_id 5 of the results is taken for the only category, 'goat'" in note for note in taken.notes)
    with pytest.raises(Refused, match="rows of a category that the annotation file has not, category_id: 1, first 5"):
        found(tmp_path, [row(category_id=5), row()], truth)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"image_id": 77}, "rows of an image that the annotation file has not, image_id: 1, first 77"),
        ({"keypoints": [1, 2, 3]}, r"rows without 15 numbers as key points \(goat\): 1, first row 1"),
        ({"keypoints": [float("nan")] * 15}, "rows without 15 numbers as key points"),
        ({"keypoints": ["1"] * 15}, "rows without 15 numbers as key points"),
        ({"score": None}, "rows without a score: 1, first row 1"),
        ({"score": True}, "rows without a score"),
        ({"bbox": None}, "rows without a bbox of four numbers, while others have one: 1, first row 1"),
    ],
)
def test_rows_that_do_not_fit_are_refused(changes: dict[str, Any], said: str, tmp_path: Path, truth: TruthFile) -> None:
    with pytest.raises(Refused, match=rf"results\.json does not fit .*truth\.json:\n  {said}"):
        found(tmp_path, [row(), row(**changes)], truth)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{}", "holds no results; expected a list of rows"),
        ("[1]", "rows that are no objects: 1, first 0"),
        ("[", "malformed JSON in"),
    ],
)
def test_what_is_no_results_file_is_refused(text: str, said: str, tmp_path: Path, truth: TruthFile) -> None:
    with pytest.raises(Refused, match=said):
        found(tmp_path, text, truth)
    with pytest.raises(Refused, match="no results file"):
        read_results(tmp_path / "none.json", truth)


def test_scores_keep_their_last_bit(tmp_path: Path, truth: TruthFile) -> None:
    score = 0.1234567890123
    (one,) = found(tmp_path, [row(score=score)], truth).detections
    assert result_rows([one], 5, "box", [1])[0]["score"] == score
