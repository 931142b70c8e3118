"""Where runs are recorded."""

from __future__ import annotations

import os
from pathlib import Path

from workbench.core.errors import Refused

HOME_VARIABLE = "WORKBENCH_HOME"
_ODD = "?%{}\0"  # an address of a database means something else by them


def runs_folder(make: bool = True) -> Path:
    """The folder where runs are recorded: `WORKBENCH_HOME`, or `runs` in the current folder.

    Args:
        make: it if need be; commands that only read leave that.

    Raises:
        Refused: it cannot be made, or its name can be in no address of a database.
    """
    folder = Path(os.environ.get(HOME_VARIABLE) or "runs").expanduser()
    if odd := sorted(set(str(folder.resolve())) & set(_ODD)):
        raise Refused(f"{HOME_VARIABLE} {folder}: {' '.join(odd)} would be read as more than a name; take another")
    if not make:
        return folder.resolve()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise Refused(f"{HOME_VARIABLE} {folder}: {error.strerror}; name a folder that can be written to") from None
    return folder.resolve()
