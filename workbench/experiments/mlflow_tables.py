"""The tables of MLflow's file, made at once.

By itself MLflow makes those of its first version and then alters them some fifty times. That takes a second of each new
folder of runs, and what a kill leaves of it is half made.

`mlflow_tables.sql` is what one version of MLflow makes; its first line says which.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from functools import partial
from importlib.metadata import version
from pathlib import Path

from workbench.core.files import make_once

SCHEMA = Path(__file__).with_suffix(".sql")


def make_record_file(path: Path) -> None:
    """Makes the SQLite file with its tables, unless it is there or another version of MLflow is to make its own."""
    if path.exists():
        return
    text = SCHEMA.read_text("utf-8")
    if text.partition("\n")[0] == header():
        make_once(path, partial(_make, text))


def header() -> str:
    """The first line of tables of the installed MLflow."""
    return f"-- MLflow {version('mlflow')}"


def _make(text: str, path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(text)
