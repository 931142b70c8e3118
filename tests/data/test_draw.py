"""Pictures: contact sheets and persons drawn on copies."""

from __future__ import annotations

import numpy as np

from workbench.core.skeletons import COCO
from workbench.data.draw import contact_sheet, draw_persons
from workbench.tensors import Sample


def test_pictures(hard: list[Sample]) -> None:
    sheet = contact_sheet(hard[:5], columns=3)
    assert sheet.dtype == np.uint8 and sheet.shape == (2 * 388, 3 * 388, 3)
    sample = max(hard, key=len)
    plain = sample.image.copy()
    persons = sample.persons
    given = sample.image, persons.boxes, persons.keypoints, COCO
    shown = draw_persons(*given, scores=np.ones(len(sample), np.float32))
    assert np.array_equal(sample.image, plain) and shown.shape[0] >= 320
    untouched = draw_persons(sample.image, persons.boxes[:0], persons.keypoints[:0], COCO, least_side=1)
    assert np.array_equal(untouched, plain)
    faint = draw_persons(*given, visible=persons.visible * 0.0, least_side=1)
    strong = draw_persons(*given, visible=persons.visible, least_side=1)
    assert (faint != plain).any() and (strong != faint).any()
