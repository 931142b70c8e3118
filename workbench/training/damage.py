"""Damage to the records of jobs: what can not be used is named, put aside, and made again; nothing is deleted.

HOME/jobs/KEY/*.damaged     what was put aside
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from workbench.core.errors import DataFault
from workbench.training.record import is_complete, read_curve, read_losses, read_result

ASIDE = ".damaged"
_LARGE = ("weights.safetensors", "records.npz", "curve.csv")  # of a complete job, beside its numbers


def damage_of(folder: Path) -> str:
    """What is wrong with the record of a job, in a line; "" where nothing is, and of one that is not complete."""
    if not os.path.lexists(folder / "result.json"):
        return ""
    try:
        read_result(folder)
        read_losses(folder)
    except DataFault as error:
        return str(error)
    except OSError:
        return ""  # it is just being replaced
    curve = folder / "curve.csv"
    return f"{curve}: it is empty" if curve.exists() and not read_curve(folder) and not curve.stat().st_size else ""


def damaged(folders: Iterable[Path]) -> list[str]:
    """A line for each record that is damaged, and one for all those of which files are missing."""
    there = list(dict.fromkeys(folders))
    return [*filter(None, map(damage_of, there)), *_lacking(there)]


def _lacking(folders: Iterable[Path]) -> Iterator[str]:
    """Whose numbers count, while pictures and intervals leave them out."""
    lost = [
        folder / name
        for folder in folders
        if (folder / "job.json").exists() and is_complete(folder)
        for name in _LARGE
        if not (folder / name).exists()
    ]
    if lost:
        more = f" and {len(lost) - 1} more" if len(lost) > 1 else ""
        yield (
            f"{lost[0]}{more}: missing; its numbers count, what needs the file leaves it out. Delete result.json "
            "beside it, and the study trains that job again"
        )


def put_aside_damaged(folders: Iterable[Path]) -> list[str]:
    """Makes jobs whose record is damaged ones that are to be done, and says so, a line each."""
    there = list(dict.fromkeys(folders))
    lines: list[str] = []
    for folder in there:
        if why := damage_of(folder):
            for name in ("result.json", "curve.csv", "losses.csv"):
                if os.path.lexists(folder / name):
                    put_aside(folder / name)
            lines.append(f"{why}; it was put aside as *{ASIDE}")
    return [*lines, *_lacking(there)]


def put_aside(path: Path) -> Path:
    """Renames a file, or a folder in its place, out of the way. Gives where it lies."""
    to = path.with_name(f"{path.name}{ASIDE}")
    if to.is_dir() and not to.is_symlink():
        to = path.with_name(f"{path.name}.{path.lstat().st_mtime_ns}{ASIDE}")
    os.replace(path, to)
    return to
