"""What was found in a picture, as it is read, drawn and handed on."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from workbench.core.errors import Refused
from workbench.core.skeletons import COCO
from workbench.data.inferred import Detection, Inferred, inferred_from
from workbench.data.overlay import draw_found
from workbench.evaluation.coco_ap import coco_results
from workbench.tensors import Detections

IMAGE = np.random.default_rng(0).integers(0, 255, (500, 600, 3), np.uint8)


def found() -> Detections:
    rng = np.random.default_rng(1)
    low = rng.uniform(0, 200, (3, 2))
    return Detections(
        boxes=np.hstack([low, low + 200]).astype(np.float32),
        scores=np.array([0.9, 0.6, 0.1], np.float32),
        labels=np.zeros(3, np.int64),
        keypoints=(low[:, None] + rng.uniform(0, 200, (3, 17, 2))).astype(np.float32),
        keypoint_scores=rng.uniform(0.2, 1, (3, 17)).astype(np.float32),
        image_id=4,
    )


def inferred() -> Inferred:
    return inferred_from(found(), COCO, (500, 600), ("person",), picture=IMAGE)


def test_the_published_names_hold_plain_numbers() -> None:
    first = inferred().detections[0]
    assert first == Detection(
        bbox=found().boxes[0].tolist(),
        conf=float(found().scores[0]),
        cls_id=0,
        label="person",
        keypoints=np.dstack([found().keypoints, found().keypoint_scores[..., None]])[0].tolist(),
    )
    assert Inferred(detections=[first]).detections == [first]  # as it was before it knew more


def test_rows_are_those_of_the_evaluation() -> None:
    expected = coco_results([found()], COCO)
    rows = inferred().to_coco(image_id=4)
    assert [row.keys() for row in rows] == [row.keys() for row in expected]
    for row, other in zip(rows, expected, strict=True):
        assert (row["image_id"], row["category_id"], row["score"]) == (4, 1, other["score"])
        assert row["keypoints"] == other["keypoints"] and row["bbox"] == pytest.approx(other["bbox"], abs=1e-4)
    assert inferred().to_coco(category_ids=(7,))[0]["category_id"] == 7


def test_drawing_reads_the_picture_again(tmp_path: Path) -> None:
    expected = draw_found(IMAGE, found(), COCO)
    assert np.array_equal(inferred().draw(), expected) and (expected != IMAGE).any()
    cv2.imwrite(str(tmp_path / "a.png"), IMAGE)
    assert np.array_equal(Inferred(detections=inferred().detections, skeleton=COCO).draw(tmp_path / "a.png"), expected)
    assert (inferred().draw(threshold=0.05) != expected).any()
    with pytest.raises(Refused, match="without their picture; pass it"):
        Inferred(detections=[]).draw()
    nobody = Inferred(detections=[], skeleton=COCO, size=(500, 600), picture=IMAGE)
    assert np.array_equal(nobody.draw(), IMAGE) and nobody.to_coco() == []


def test_supervision_is_given_arrays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "supervision", SimpleNamespace(KeyPoints=SimpleNamespace))
    given = inferred().to_supervision()
    assert given.xy.shape == (3, 17, 2) and np.array_equal(given.xy, found().keypoints)
    assert np.array_equal(given.keypoint_confidence, found().keypoint_scores) and given.class_id.tolist() == [0, 0, 0]
    assert np.array_equal(given.detection_confidence, found().scores)
    assert given.data["class_name"].tolist() == ["person"] * 3 and np.array_equal(given.data["xyxy"], found().boxes)
    monkeypatch.setitem(sys.modules, "supervision", None)
    with pytest.raises(Refused, match=r"it is not installed; pip install 'supervision>=0\.29'"):
        inferred().to_supervision()


def test_supervision_takes_it() -> None:
    sv = pytest.importorskip("supervision")
    given = inferred().to_supervision()
    assert len(given) == 3 and sv.EdgeAnnotator().annotate(IMAGE.copy(), given).shape == IMAGE.shape
    assert len(Inferred(detections=[], skeleton=COCO).to_supervision()) == 0
