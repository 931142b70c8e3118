"""Persons as a record: rows are taken and joined whole, whatever the fields are."""

from dataclasses import dataclass, fields

import numpy as np
import pytest

from workbench.tensors import Persons


def persons(count: int, first: int = 0) -> Persons:
    rng = np.random.default_rng(first)
    return Persons(
        boxes=rng.random((count, 4)).astype(np.float32),
        keypoints=rng.random((count, 17, 2)).astype(np.float32),
        visible=rng.integers(0, 3, (count, 17)).astype(np.float32),
        areas=np.arange(first, first + count, dtype=np.float32),
        labels=np.arange(first, first + count),
        keypoint_weights=rng.integers(0, 2, (count, 17)).astype(np.float32),
    )


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        (np.array([True, False, True, False]), [0, 2]),
        (np.zeros(4, bool), []),
        ([3, 1], [3, 1]),
        (slice(1, 3), [1, 2]),
    ],
)
def test_rows_are_taken_of_every_field(rows: np.ndarray | list[int] | slice, expected: list[int]) -> None:
    whole = persons(4)
    some = whole.take(rows)
    assert len(some) == len(expected)
    for field in fields(Persons):
        array, taken = getattr(whole, field.name), getattr(some, field.name)
        assert taken.shape == (len(expected), *array.shape[1:]) and taken.dtype == array.dtype
        assert all(np.array_equal(row, array[at]) for row, at in zip(taken, expected, strict=True))


def test_parts_are_joined_in_order() -> None:
    parts = [persons(2), persons(0, 5), persons(3, 2)]
    whole = Persons.concatenated(parts)
    assert whole.labels.tolist() == [0, 1, 2, 3, 4] and list(whole.arrays()) == [f.name for f in fields(Persons)]
    again = [whole.take(slice(0, 2)), whole.take(slice(2, 2)), whole.take(slice(2, 5))]
    for part, back in zip(parts, again, strict=True):
        assert all(np.array_equal(array, back.arrays()[name]) for name, array in part.arrays().items())


def test_a_new_field_goes_along_without_another_line() -> None:
    @dataclass(slots=True, kw_only=True)
    class Named(Persons):
        number: np.ndarray

    made = [Named(**persons(2, at).arrays(), number=np.arange(at, at + 2)) for at in (0, 2)]
    whole = type(made[0]).concatenated(made)
    assert isinstance(whole, Named) and whole.number.tolist() == [0, 1, 2, 3]
    some = whole.take([3, 0])
    assert isinstance(some, Named) and some.number.tolist() == [3, 0] and some.labels.tolist() == [3, 0]
