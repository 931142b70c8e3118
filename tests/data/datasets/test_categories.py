"""The categories of an annotation file: found without its images, with names that are words and limbs from 0."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.data.datasets.animals import LIMBS, NAMES, category, labelled
from workbench.core.errors import Refused
from workbench.data.datasets.categories import Category, category_records, with_keypoints


def written(folder: Path, content: str | bytes) -> Path:
    file = folder / "a.json"
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    return file


def only(**change: Any) -> Category:
    (found,) = with_keypoints([category() | change], "a.json")
    return found


@pytest.mark.parametrize("indent", [None, 2])
def test_they_are_found_in_a_whole_file(tmp_path: Path, indent: int | None) -> None:
    content = labelled(4, 1)
    assert category_records(written(tmp_path, json.dumps(content, indent=indent))) == [category()]


def test_the_rest_of_the_file_is_not_parsed(tmp_path: Path) -> None:
    rest = '{"categories" : [{"id": 1, "name": "Ziege \u00e4"}], "images": [not even JSON'
    assert category_records(written(tmp_path, rest)) == [{"id": 1, "name": "Ziege \u00e4"}]


def test_the_word_may_stand_elsewhere_too(tmp_path: Path) -> None:
    content = {"info": {"categories": [1, 2]}, "categories": [category()]}
    assert category_records(written(tmp_path, json.dumps(content))) == [category()]


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{}",
        "[]",
        '{"categories": {}}',
        '{"categories": [1, }',
        '{"a": "categories"}',
        b'{"categories": ["\xff"]}',
        '{"categories": ' + "[" * 100_000,
    ],
    ids=["empty", "an object", "a list", "no list", "broken", "only the word", "no UTF-8", "deep"],
)
def test_without_a_list_there_are_none(tmp_path: Path, content: str | bytes) -> None:
    assert category_records(written(tmp_path, content)) is None


def test_without_a_file_there_are_none(tmp_path: Path) -> None:
    assert category_records(tmp_path / "a.json") is None
    assert category_records(tmp_path) is None


def test_those_that_name_key_points() -> None:
    silent: list[Any] = [{"id": 2, "name": "car"}, {"id": 3, "keypoints": []}, "no record", None]
    assert list(with_keypoints([*silent, category()], "a.json")) == [Category(1, "goat", NAMES, LIMBS)]


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (["a", "a"], "key-point name 'a' stands 2 times; give each once"),
        (["a", " "], "key-point name ' ': expected words without a comma"),
        (["a,b"], "key-point name 'a,b': expected words without a comma"),
        (["a", 2], "its keypoints are ['a', 2]; expected a list of names"),
        ("nose", "its keypoints are nose; expected a list of names"),
        (17, "its keypoints are 17; expected a list of names"),
    ],
)
def test_wrong_names_are_refused(names: Any, said: str) -> None:
    with pytest.raises(Refused) as refused:
        only(keypoints=names)
    assert str(refused.value) == f"a.json: category 1 'goat': {said}"


def test_limbs_count_from_1_or_from_0() -> None:
    assert only().limbs == LIMBS
    assert only(skeleton=[list(limb) for limb in LIMBS]).limbs == LIMBS


def test_foreign_limbs_are_left_out_and_counted() -> None:
    found = only(skeleton=[[1, 5], [16, 14], [5, 6]])
    assert found.limbs == ((0, 4),) and found.left_out == 2


@pytest.mark.parametrize(
    ("given", "limbs"),
    [
        (None, ()),
        ("1-2", ()),
        ([[1, 2, 3], [1], 4, [1.0, 2], [True, 2], ["1", "2"], [1, 2]], ((0, 1),)),
        ([[1, 2], [1, 2], [2, 3]], ((0, 1), (1, 2))),
    ],
    ids=["none", "no list", "what is no pair", "twice"],
)
def test_limbs_that_are_none_are_passed_over(given: Any, limbs: tuple[tuple[int, int], ...]) -> None:
    found = only(skeleton=given)
    assert found.limbs == limbs and found.left_out == 0
