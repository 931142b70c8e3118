"""Errors in one line: their kind and the first line of what they say."""

import pytest

from workbench.core.errors import Refused, one_line


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (ValueError("first\nsecond"), "ValueError: first"),
        (Refused("\n  size 3: expected an even number  \n"), "Refused: size 3: expected an even number"),
        (KeyError(), "KeyError"),
        (OSError(" \n "), "OSError"),
    ],
)
def test_an_error_is_said_in_one_line(error: BaseException, said: str) -> None:
    assert one_line(error) == said
