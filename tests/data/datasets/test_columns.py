"""Annotations in the order of a set: each number goes with its name, and the content that was given stays as it is."""

import json
from copy import deepcopy
from typing import Any

import numpy as np
import pytest

from tests.data.datasets.animals import LIMBS, NAMES, category, labelled
from workbench.core.keypoints import Skeleton
from workbench.data.datasets.columns import in_order, unnamed_skeleton

GOAT = Skeleton(name="goat", keypoints=NAMES, sigmas=(0.1,) * 5, flip=(0, 1, 3, 2, 4), limbs=LIMBS)
ORDER = (4, 2, 0, 3, 1)  # of the names in the file
COLUMNS = {"1": tuple(ORDER.index(k) for k in range(5))}


def test_columns_are_put_in_order() -> None:
    straight, turned = labelled(3, 1), labelled(3, 1, ORDER)
    before = deepcopy(turned)
    assert turned["annotations"] != straight["annotations"]
    assert in_order(turned, COLUMNS, GOAT) == straight
    assert turned == before, "the content that was given is not changed"


def test_what_is_in_order_is_the_content_itself() -> None:
    content = labelled(3, 1)
    assert in_order(content, {"1": range(5)}, GOAT) is content
    assert in_order(content, {}, GOAT) is content


def test_each_category_has_an_order_of_its_own() -> None:
    straight, turned = labelled(2, 1), labelled(2, 1, ORDER)
    second = turned["annotations"][1] | {"category_id": 2}
    content = {
        "info": {"year": 2020},
        "categories": [category(), category(ORDER, id=2), {"id": 3, "name": "car"}],
        "annotations": [straight["annotations"][0], second, {"id": 9, "category_id": 3, "keypoints": [1] * 15}],
    }
    found = in_order(content, {"1": range(5), "2": COLUMNS["1"]}, GOAT)
    assert found["info"] == {"year": 2020}
    assert found["categories"] == [category(), category(id=2), content["categories"][2]]
    first, put, other = found["annotations"]
    assert first == straight["annotations"][0] and other == content["annotations"][2]
    assert put == straight["annotations"][1] | {"category_id": 2}


@pytest.mark.parametrize(
    "one",
    [
        None,
        "no record",
        {"id": 1},
        {"id": 1, "category_id": 1},
        {"id": 1, "category_id": 1, "keypoints": None},
        {"id": 1, "category_id": 1, "keypoints": "many"},
        {"id": 1, "category_id": 1, "keypoints": [1, 2, 2]},
        {"id": 1, "category_id": [1], "keypoints": [1] * 15},
    ],
    ids=json.dumps,
)
def test_what_is_no_list_of_key_points_is_left_to_others(one: Any) -> None:
    content = {"categories": [category(ORDER), "no record"], "annotations": [one]}
    found = in_order(content, COLUMNS, GOAT)
    assert found["annotations"] == [one] and found["categories"] == [category(), "no record"]


@pytest.mark.parametrize(
    ("annotations", "count"),
    [
        ([{"keypoints": [0] * 15}, {"keypoints": [0] * 51}], 5),
        (["no record", {"keypoints": [0] * 6}], 2),
        ([{"keypoints": None}], 0),
        ([{"id": 1}], 0),
        ([], 0),
    ],
)
def test_a_set_without_names_has_as_many_as_the_first_annotation(annotations: list[Any], count: int) -> None:
    found = unnamed_skeleton({"annotations": annotations})
    assert found.keypoints == tuple("12345"[:count]) and found.name == "unknown"
    assert np.all(np.asarray(found.sigmas) == 0.1) and found.flip == tuple(range(count)) and found.limbs == ()


def test_a_set_without_names_of_a_file_without_annotations() -> None:
    assert len(unnamed_skeleton({})) == 0
