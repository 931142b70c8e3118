"""The labelled persons of the validation images."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from workbench.evaluation.coco_ap import CROWD_AREA

PersonLabel = Mapping[str, Any]  # of COCO


def persons_by_image(truth: Mapping[str, Any]) -> dict[int, list[PersonLabel]]:
    """The annotations with a labelled key point of each image that has one, by its number; crowds are none."""
    found: dict[int, list[PersonLabel]] = {}
    for ann in truth["annotations"]:
        if not ann.get("iscrowd") and any(ann["keypoints"][2::3]):
            found.setdefault(ann["image_id"], []).append(ann)
    return found


def area_of(ann: PersonLabel) -> float:
    """The area of a person in square pixels; of one without a mask CrowdPose's share of the box."""
    return float(ann.get("area") or CROWD_AREA * ann["bbox"][2] * ann["bbox"][3])
