"""Errors in one line: their kind and the first line of what they say, without codes that a terminal obeys."""

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


def test_no_code_reaches_a_terminal_through_what_is_refused() -> None:
    error = Refused("a\x1b]0;title\x07 file\udc80\r.jpg:\nsecond line\u202e")
    assert str(error) == r"a\x1b]0;title\x07 file\udc80\r.jpg:" + "\n" + r"second line\u202e"
    assert one_line(ValueError("\x1b[31m")) == r"ValueError: \x1b[31m"
