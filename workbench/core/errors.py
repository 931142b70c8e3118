"""What a user got wrong, in one line: what was given, what was expected, what to do."""


class Refused(ValueError):
    """Input that is refused before work starts. The command line prints it without a traceback."""


class DataFault(Refused):
    """Files that can not be used as they are. Once they are repaired the same work is tried again."""


def one_line(error: BaseException) -> str:
    """The kind of an error and the first line of what it says; of what is refused, all that it says."""
    lines = str(error).strip().splitlines()
    text = " ".join(map(str.strip, lines)) if isinstance(error, Refused) else "".join(lines[:1])
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
