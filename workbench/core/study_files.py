"""Which studies there are: the files of the package `studies`, by name. None of them is imported."""

from __future__ import annotations

import pkgutil

from workbench.core.errors import Refused
from workbench.core.own_files import COMPONENTS, STUDIES, own_modules, own_package


def known_studies() -> list[str]:
    """The names of all studies; those of the current folder come before others of their names."""
    package = own_package(STUDIES)
    return [] if package is None else sorted({m.name for m in pkgutil.iter_modules(package.__path__)})


def check_study(name: str) -> None:
    """Refuses a name that no study has.

    Raises:
        Refused: the message lists the studies that there are.
    """
    own_modules(COMPONENTS)  # what the file of a study may import
    if name not in (known := known_studies()):
        raise Refused(f"no study is called {name!r}; there are {known}. Run from the folder that holds studies/")
