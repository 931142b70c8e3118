"""A person's own files in the current folder: `studies/` and `components/`, found without an `__init__.py`, and before
files of the same names elsewhere."""

from __future__ import annotations

import importlib
import pkgutil
import sys
from pathlib import Path
from types import ModuleType

STUDIES, COMPONENTS = "studies", "components"


def own_package(name: str) -> ModuleType | None:
    """The package of that name, with the folder of the current one before whatever else is called so; None: neither is.

    Python itself takes a package with an `__init__.py` before a folder without one, wherever it lies. A folder of the
    current one that has an `__init__.py` is found as any package is.
    """
    own = _own_folder(name)
    try:
        package = importlib.import_module(name)
    except ModuleNotFoundError as error:
        if own is None or error.name != name:
            return None
        package = sys.modules[name] = ModuleType(name)
        package.__path__ = []
    if own is not None:
        package.__path__ = [own, *(folder for folder in package.__path__ if folder != own)]
    return package


def _own_folder(name: str) -> str | None:
    folder = Path(name)
    return str(folder.resolve()) if folder.is_dir() and not (folder / "__init__.py").exists() else None


def own_modules(name: str) -> list[str]:
    """The full names of the modules in the current folder's folder of that name, private ones left out."""
    if (own := _own_folder(name)) is None or own_package(name) is None:
        return []
    found = sorted(module.name for module in pkgutil.iter_modules([own]))  # one path, one cache of what lies there
    return [f"{name}.{module}" for module in found if not module.startswith("_")]
