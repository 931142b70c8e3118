"""Pictures: contact sheets and persons drawn on copies."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from workbench.core.skeletons import COCO
from workbench.data.draw import captioned, contact_sheet, draw_detections, draw_persons, draw_sample, predictions
from workbench.tensors import Detections, Sample


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


def test_pictures_of_predictions_say_what_they_are(hard: list[Sample]) -> None:
    """Above each stand the id of its image and whether it is what is there or what was found: here nobody."""
    samples = [replace(sample, image_id=number) for number, sample in zip((7, 139), hard, strict=False)]
    nobody = Detections(
        boxes=np.zeros((0, 4), np.float32),
        scores=np.zeros(0, np.float32),
        labels=np.zeros(0, np.int64),
        keypoints=np.zeros((0, 17, 2), np.float32),
        keypoint_scores=np.zeros((0, 17), np.float32),
    )
    sheet = predictions(samples, [nobody, nobody], columns=2)
    for row, sample in enumerate(samples):
        for column, (what, drawn) in enumerate(
            {"truth": draw_sample(sample), "found": draw_detections(sample, nobody)}.items()
        ):
            shown = captioned(drawn, f"image {sample.image_id}: {what}")
            high, wide, _ = shown.shape
            top, left = row * (high + 4), column * (wide + 4)
            assert np.array_equal(sheet[top : top + high, left : left + wide], shown)
    first, second = (captioned(samples[0].image, f"image {number}") for number in (7, 139))
    assert (first != second).any() and np.array_equal(first[-128:], samples[0].image)
