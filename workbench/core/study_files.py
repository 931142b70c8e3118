"""Which studies there are: the files of the package `studies`, by name. None of them is imported."""

from __future__ import annotations

import importlib
import pkgutil

from workbench.core.errors import Refused


def known_studies() -> list[str]:
    """The names of all studies."""
    try:
        package = importlib.import_module("studies")
    except ModuleNotFoundError:
        return []
    return sorted(m.name for m in pkgutil.iter_modules(package.__path__))


def check_study(name: str) -> None:
    """Refuses a name that no study has.

    Raises:
        Refused: the message lists the studies that there are.
    """
    if name not in (known := known_studies()):
        raise Refused(f"no study is called {name!r}; there are {known}. Run from the folder that holds studies/")
