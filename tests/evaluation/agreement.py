"""The evaluator and pycocotools agree in every number and every match."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from workbench.evaluation.bootstrap import metric_from_records
from workbench.evaluation.coco_ap import Evaluation, evaluate_coco, evaluate_crowdpose
from workbench.evaluation.records import MatchRecords
from workbench.evaluation.reference import reference_coco, reference_crowdpose
from workbench.tensors import Detections


def assert_same(ours: Evaluation, reference: Evaluation) -> None:
    """Every number and every match."""
    assert list(ours.values) == list(reference.values)
    assert list(ours.values.values()) == pytest.approx(list(reference.values.values()), abs=1e-9, nan_ok=True)
    for name in MatchRecords.__slots__:
        a, b = getattr(ours.records, name), getattr(reference.records, name)
        assert a.dtype == b.dtype and a.shape == b.shape, name
        if name in ("oks_sum", "error_sum"):
            np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-12)
        else:
            assert np.array_equal(a, b), name
    for metric in ("AP", "AP50", "AP75", "mOKS", "NME"):
        assert metric_from_records(ours.records, metric=metric) == pytest.approx(ours[metric], abs=1e-12, nan_ok=True)


def assert_equals_pycocotools(truth: dict[str, Any], some: list[Detections], sigmas: Any, crowd: bool = False) -> None:
    """As COCO and, where images say how crowded they are, as CrowdPose."""
    if not crowd:
        for area_from in ("box", "keypoints"):
            ours = evaluate_coco(truth, some, sigmas, area_from=area_from)
            assert_same(ours, reference_coco(truth, some, sigmas, area_from=area_from))
    if all("crowdIndex" in image for image in truth["images"]):
        assert_same(evaluate_crowdpose(truth, some, sigmas), reference_crowdpose(truth, some, sigmas))
