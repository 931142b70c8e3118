"""What a user got wrong, in one line: what was given, what was expected, what to do."""


class Refused(ValueError):
    """Input that is refused before work starts. The command line prints it without a traceback."""
