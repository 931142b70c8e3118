"""A table of persons as COCO's dict, by which predictions are judged."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from workbench.core.keypoints import Skeleton
from workbench.data.datasets.masks import Segmentation
from workbench.data.datasets.pictures import ImageEntry
from workbench.data.datasets.table import Table


def truth_of(
    table: Table, skeleton: Skeleton, classes: Sequence[str], category_ids: Sequence[int], *, covered: bool = False
) -> dict[str, Any]:
    """`images`, `annotations` and `categories`, all values as they were put right.

    Args:
        covered: with the segmentation of what is to be ignored.
    """
    images = [_image(picture) for picture in table.pictures]
    ids = [picture.id for picture in table.pictures]
    labelled = (table.keypoints[..., 2] > 0).sum(1)
    counted = np.where(table.target | table.crowd, labelled, 0).tolist()
    columns = zip(
        table.ids.tolist(), table.image.tolist(), table.labels.tolist(), table.boxes.tolist(), table.areas.tolist(),
        table.crowd.tolist(), counted, table.keypoints.reshape(len(labelled), -1).tolist(), strict=True,
    )  # fmt: skip
    annotations = [
        {
            "id": number, "image_id": ids[place], "category_id": category_ids[label], "bbox": box, "area": area,
            "iscrowd": int(crowd), "num_keypoints": count, "keypoints": points,
        }
        for number, place, label, box, area, crowd, count, points in columns
    ]  # fmt: skip
    for row, given in table.ignored.items() if covered else ():
        annotations[row]["segmentation"] = _segmentation(given)
    limbs = [[a + 1, b + 1] for a, b in skeleton.limbs]
    names = {"keypoints": list(skeleton.keypoints), "skeleton": limbs}
    categories = [{"id": number, "name": name, **names} for number, name in zip(category_ids, classes, strict=True)]
    return {"images": images, "annotations": annotations, "categories": categories}


def _image(picture: ImageEntry) -> dict[str, Any]:
    found = {"id": picture.id, "file_name": picture.file, "width": picture.width, "height": picture.height}
    return {**found, "crowdIndex": picture.crowd_index}


def _segmentation(given: Segmentation) -> Any:
    """As in a file: lists of plain numbers."""
    if not isinstance(given, Mapping):
        return [[*map(float, ring)] for ring in given]
    counts = given["counts"]
    return {**given, "counts": counts.tolist()} if isinstance(counts, np.ndarray) else given
