"""The type of a table, and how one is written as CSV."""

from typing import Any

from workbench.core.words import cells

Frame = Any  # a pandas.DataFrame; pandas types each of its columns as nearly anything


def write_csv(frame: Frame, file: Any = None, **options: Any) -> str | None:
    """Writes a table without its index to a file, or gives it as text; none of its cells is a formula.

    Columns without one are written as they are.
    """
    words = frame.select_dtypes(exclude=["number", "bool"])
    changed = {name: found for name in words if (found := cells(words[name])) != list(words[name])}
    return frame.assign(**changed).to_csv(file, index=False, float_format="%.6g", **options)
