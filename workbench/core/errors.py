"""What a user got wrong, in one line: what was given, what was expected, what to do."""


class Refused(ValueError):
    """Input that is refused before work starts. The command line prints it without a traceback."""


def one_line(error: BaseException) -> str:
    """The kind of an error and the first line of what it says."""
    text = str(error).strip().splitlines()
    return f"{type(error).__name__}: {text[0]}" if text else type(error).__name__
