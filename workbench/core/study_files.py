"""Which studies there are: the files of the package `studies`, by name, and what one of them defines."""

from __future__ import annotations

import importlib
import pkgutil
import traceback
from pathlib import Path
from shlex import quote
from types import ModuleType

from workbench.core.errors import Refused, one_line
from workbench.core.own_files import COMPONENTS, STUDIES, own_modules, own_package


def known_studies() -> list[str]:
    """The names of all studies; those of the current folder come before others of their names. None is imported."""
    package = own_package(STUDIES)
    return [] if package is None else sorted({m.name for m in pkgutil.iter_modules(package.__path__)})


def check_study(name: str) -> None:
    """Refuses a name that no study has.

    Raises:
        Refused: the message lists the studies that there are.
    """
    own_modules(COMPONENTS)  # what the file of a study may import
    if name not in (known := known_studies()):
        if Path(name, "job.json").is_file():
            raise Refused(f"no study is called {name!r}: it is the folder of one run. {_shown_by(name)}")
        raise Refused(f"no study is called {name!r}; there are {known}. Run from the folder that holds studies/")


def _shown_by(run: str) -> str:
    """What shows the run of a folder."""
    picture = Path(run, "predictions.png")
    more = f", {picture} what it found on validation images" if picture.is_file() else ""
    return f"workbench predict {quote(run)} PICTURE draws what it finds{more}"


def study_module(name: str) -> ModuleType:
    """The file of a study that there is, run.

    Raises:
        Refused: it fails, or ends the program; the message has its line.
    """
    try:
        return importlib.import_module(f"{STUDIES}.{name}")
    except (Exception, SystemExit) as error:  # whatever a person's file does is one thing to the workbench
        raise Refused(f"{STUDIES}/{name}.py{_line(error, f'{name}.py')}: {_said(error)}") from error


def _line(error: BaseException, file: str) -> str:
    """Where in the file it happened, as far as Python says so."""
    lines = [at.lineno for at in traceback.extract_tb(error.__traceback__) if Path(at.filename).name == file]
    if isinstance(error, SyntaxError) and error.filename and Path(error.filename).name == file:
        lines.append(error.lineno)
    found = next((line for line in reversed(lines) if line), None)
    return "" if found is None else f", line {found}"


def _said(error: BaseException) -> str:
    if isinstance(error, Refused):
        return str(error)
    if isinstance(error, SystemExit):
        return "it ends the program (SystemExit); a study only defines STUDY"
    return one_line(error)
