"""Persons of a file as columns of numbers."""

import numpy as np
import pytest

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


@pytest.mark.parametrize(("x", "dtype"), [(300, np.float32), (300.5, np.float32), (300.1, np.float64)])
def test_key_points_take_half_of_the_memory_only_where_they_stay_what_they_are(x: float, dtype: type) -> None:
    given = [{"id": i, "bbox": [0.1, 0, 9, 9], "keypoints": [7, 8, 2]} for i in range(5000)]  # more than one lot
    given[4500]["keypoints"] = [x, 8, 2]
    rows = rows_of(iter(given), 1)
    assert rows.keypoints.values.dtype == dtype and rows.boxes.values.dtype == np.float64
    assert rows.keypoints.values.tolist() == [one["keypoints"] for one in given]
    assert rows.boxes.values[:, 0].tolist() == [0.1] * 5000


@pytest.mark.parametrize("counts", [[3, 400, 5], [3, 4.0], ["3"], [], "PYl0", [2**70], None])
def test_run_lengths_take_less_memory_and_stay_what_they_are(counts: object) -> None:
    crowd = {"id": 1, "iscrowd": 1, "segmentation": {"counts": counts, "size": [20, 20]}}
    (kept,) = rows_of(iter([crowd]), 1).segmentations.values()
    assert isinstance(kept["counts"], np.ndarray) == (counts == [3, 400, 5]) and kept["size"] == [20, 20]
    assert list(kept["counts"]) == counts if isinstance(counts, list) else kept["counts"] == counts
