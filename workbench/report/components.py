"""What the rows of a study have and have not: one column per thing in which they differ.

Two rows that swap one component differ in all its settings at once. So a setting is a column only where it differs
between rows that have the same component, and things that come and go together are one column.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pandas as pd

from workbench.report.frames import Frame
from workbench.study import PlannedJob

CHECK = "✓"
_ABSENT = object()
_NEVER = ("seed", "protocol.trunk", "start")  # differ between runs of a row, or follow from what it says itself
Values = Mapping[str, Any]  # by dotted path


def components_frame(jobs: Sequence[PlannedJob]) -> Frame:
    """Rows x things as text: a check mark, a value, or nothing. `attrs["with"]`: by thing, what comes and goes with it.

    Args:
        jobs: of all rows; the first of each row counts.
    """
    rows = _rows(jobs)
    frame, together = pd.DataFrame(index=pd.Index(list(rows), name="row")), {}
    seen: dict[tuple[int, ...], str] = {}
    for path in _things(list(rows.values())):
        values = [row.get(path, _ABSENT) for row in rows.values()]
        pattern = _pattern(values)
        if pattern in seen:
            together.setdefault(seen[pattern], []).append(thing_name(path))
            continue
        seen[pattern] = name = thing_name(path)
        frame[name] = [_text(path, value) for value in values]
    frame.attrs["with"] = together
    return frame


def _rows(jobs: Sequence[PlannedJob]) -> dict[str, Values]:
    """Everything that is set, by row."""
    rows: dict[str, Values] = {}
    for one in jobs:
        rows.setdefault(one.row, {path: v for path, v in one.job.flat() if not path.startswith(_NEVER)})
    return {row: {path.removeprefix("variant."): v for path, v in values.items()} for row, values in rows.items()}


def _things(rows: Sequence[Values]) -> list[str]:
    """The paths in which rows differ; of a component's settings those that differ where the component is the same."""
    every = list(dict.fromkeys(path for row in rows for path in row))
    return [path for path in every if _differs(path, rows)]


def _differs(path: str, rows: Sequence[Values]) -> bool:
    groups: dict[Any, list[Any]] = {}
    for row in rows:
        owner = _owner(path, row)
        groups.setdefault(None if owner is None else (owner, row[owner]), []).append(row.get(path, _ABSENT))
    return any(len(set(map(repr, values))) > 1 for values in groups.values())


def _owner(path: str, row: Values) -> str | None:
    """The component whose setting it is: the longest path above it that has a value itself."""
    above = path.rpartition(".")[0]
    while above and above not in row:
        above = above.rpartition(".")[0]
    return above or None


def _pattern(values: Iterable[Any]) -> tuple[int, ...]:
    """Which rows are alike, whatever they have."""
    order: dict[str, int] = {}
    return tuple(order.setdefault(repr(value), len(order)) for value in values)


def thing_name(path: str) -> str:
    """A path as the head of a column: "losses.KLD.width" is "KLD width", "coords.num_bins" is "num bins"."""
    first, *rest = path.split(".")
    words = rest if rest and first != "phases" else [first, *rest]
    return " ".join(words).replace("_", " ")


def _text(path: str, value: Any) -> str:
    if value is _ABSENT or value is None or value is False:
        return ""
    if value is True or value == path.rpartition(".")[2]:  # a loss goes by its own name: it is there or not
        return CHECK
    return f"{value:g}" if isinstance(value, float) else str(value)
