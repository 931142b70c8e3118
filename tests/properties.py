"""What property tests share: how many examples they try, and values that nobody expects."""

from __future__ import annotations

from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

# The same examples each time, on however slow a machine, and nothing written to the current folder.
quickly = settings(
    max_examples=100,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)


def junk() -> st.SearchStrategy[Any]:
    """Values of every kind, huge ones, ones that are no number, and characters that can not be shown."""
    return st.recursive(
        plain() | st.binary(max_size=8) | st.sampled_from([lambda: {}, lambda _: None, object(), int, 10**400]),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.lists(inner, max_size=3).map(tuple)
            | st.dictionaries(st.none() | st.integers() | words(), inner, max_size=3)
        ),
        max_leaves=5,
    )


def json_values() -> st.SearchStrategy[Any]:
    """Values of a JSON file."""
    return st.recursive(
        plain(),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words(), inner, max_size=3),
        max_leaves=6,
    )


def plain() -> st.SearchStrategy[Any]:
    """None, numbers and words."""
    numbers = st.integers() | st.floats() | st.sampled_from([10**30, 10**400, -1, 0, 1, 2**63])
    return st.none() | st.booleans() | numbers | words()


def words() -> st.SearchStrategy[str]:
    """Text, also such as can not be shown."""
    some = [
        "",
        " ",
        "\0",
        "\x1b[31m",
        "../../x",
        "/",
        "\udc80",
        "=1+1",
        "<script>",
        "a" * 5000,
        "nan",
        "seed",
        "protocol",
    ]
    return st.text(max_size=8) | st.sampled_from(some)


@st.composite
def changed(draw: st.DrawFn, whole: Any) -> Any:
    """A value of a JSON file with another one somewhere in it, or one entry left out."""
    if not isinstance(whole, dict | list) or not whole or draw(st.integers(0, 4)) == 0:
        return draw(json_values())
    copy: Any = whole.copy()
    key = draw(st.sampled_from(sorted(whole) if isinstance(whole, dict) else range(len(whole))))
    if draw(st.integers(0, 9)) == 0:
        del copy[key]
    else:
        copy[key] = draw(changed(whole[key]))
    return copy
