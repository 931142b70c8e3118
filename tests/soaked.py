"""Soak tests: the long ones, which are left out unless they are asked for.

They are what is killed at random moments, whole pages, browsers, ONNX files of many kinds, an installed package.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

MARK = "soak"


def asked_for(file: Path, expression: str, arguments: Sequence[str], folder: Path) -> bool:
    """Whether the soak tests of a file are run, too.

    Args:
        expression: what `-m` was given, which then decides alone; "" where it was not.
        arguments: files, folders and tests of the command line; folder: that it was called in.
    """
    return bool(expression) or any((folder / one.partition("::")[0]).resolve() == file for one in arguments)


def passed_over(file: Path, expression: str) -> bool:
    """Whether a file need not be read, since only soak tests are wanted: all files take a minute to import."""
    return expression == MARK and file.match("test_*.py") and MARK not in file.read_text("utf-8")
