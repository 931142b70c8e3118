"""Persons of a file as columns of numbers."""

import numpy as np

from workbench.data.datasets.rows import rows_of


def test_numbers_are_read_and_what_is_none_is_kept_apart() -> None:
    records = [
        {"id": 1, "image_id": 2, "category_id": 1, "bbox": [1, 2, 3, 4], "keypoints": [5, 6, 2], "area": 7},
        "no object",
        {"id": 2, "image_id": 2, "category_id": 1, "bbox": ["1", "2", "3", "4"], "keypoints": [5, "x", 2]},
    ]
    rows = rows_of(iter(records), 1)
    assert (len(rows), rows.ids, rows.strangers) == (2, [1, 2], 1)
    assert rows.boxes.values.tolist() == [[1, 2, 3, 4]] * 2 and rows.boxes.quoted.tolist() == [False, True]
    assert rows.keypoints.wrong.tolist() == [False, True] and rows.areas.missing.tolist() == [False, True]
    assert np.isnan(rows.areas.values[1, 0])
