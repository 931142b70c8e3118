"""The type of a table."""

from typing import Any

Frame = Any  # a pandas.DataFrame; pandas types each of its columns as nearly anything
