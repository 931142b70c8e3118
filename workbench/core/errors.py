"""What a user got wrong, in one line: what was given, what was expected, what to do."""

import re

# Codes that a terminal obeys, halves of characters, and marks that turn the direction of what follows.
_UNPRINTABLE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def printable(text: str) -> str:
    r"""The text with what is not to reach a terminal as an escape, ESC as `\x1b`; line breaks and tabs stay."""
    return _UNPRINTABLE.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


class Refused(ValueError):
    """Input that is refused before work starts. The command line prints it without a traceback."""

    def __init__(self, *said: object) -> None:
        super().__init__(*(printable(one) if isinstance(one, str) else one for one in said))


class DataFault(Refused):
    """Files that can not be used as they are. Once they are repaired the same work is tried again."""


def one_line(error: BaseException) -> str:
    """The kind of an error and the first line of what it says; of what is refused, all that it says."""
    lines = printable(str(error)).strip().splitlines()
    text = " ".join(map(str.strip, lines)) if isinstance(error, Refused) else "".join(lines[:1])
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
