"""Values as the declared types of a dataclass's fields."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import pytest

from workbench.core.errors import Refused
from workbench.core.fields import fit, fit_fields


@pytest.mark.parametrize(
    ("value", "hint", "fitted"),
    [
        (64, float, 64.0),
        ([1, 2], tuple[int, int], (1, 2)),
        ([[1], []], tuple[tuple[int, ...], ...], ((1,), ())),
        (None, str | None, None),
        ("a", Literal["a", "b"], "a"),
        ({"a": object}, Mapping[str, Any], {"a": object}),
        (len, Callable[[str], int], len),
    ],
)
def test_a_value_is_fitted(value: Any, hint: Any, fitted: Any) -> None:
    found = fit(value, hint, "x")
    assert found == fitted and type(found) is type(fitted)


@pytest.mark.parametrize(
    ("value", "hint", "said"),
    [
        (True, int, "x: True is no int"),
        (float("nan"), float, "x: nan is no finite number"),
        (10**400, float, "is no finite number"),
        ("1", float, "x: '1' is no float"),
        ((1,), tuple[int, int], r"x: \(1,\) is no tuple\[int, int\]$"),
        ("ab", tuple[str, ...], r"'ab' is no tuple\[str, \.\.\.\]; with one in it, it needs a comma"),
        ((1, "2"), tuple[int, ...], r"x\[1\]: '2' is no int"),
        ("c", Literal["a", "b"], r"'c' is no Literal"),
        ({1: 2}, Mapping[str, Any], r"x, a key: 1 is no str"),
        ([], Mapping[str, Any], "is no Mapping"),
        (1, str | None, "1 is none of str, NoneType"),
        ("a" * 500, int, r"a\.\.\. is no int"),
    ],
)
def test_what_does_not_fit_is_refused(value: Any, hint: Any, said: str) -> None:
    with pytest.raises(Refused, match=said):
        fit(value, hint, "x")


def test_the_fields_of_a_frozen_dataclass_are_fitted_and_named() -> None:
    assert (Sized(3).width, Sized(3).words) == (3.0, ())
    with pytest.raises(Refused, match=r"Sized\.width: 'a' is no float"):
        Sized("a")  # pyright: ignore[reportArgumentType]


@dataclass(frozen=True)
class Sized:
    width: float
    words: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        fit_fields(self)
