"""The file of the record has the tables that MLflow would make.

`python -m tests.experiments.test_mlflow_tables` writes those of another version.
"""

import logging
import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path

import pytest

from workbench.experiments import mlflow_tables


def dumped(path: Path) -> str:
    with closing(sqlite3.connect(path)) as connection:
        lines = "\n".join(connection.iterdump()).splitlines()
    return "".join(f"{line.rstrip()}\n" for line in lines)


def statements(text: str) -> list[list[str]]:
    """In an order of their own, and so their lines: MLflow makes some indexes and constraints in that of a set."""
    return sorted(sorted(line.strip(", ") for line in one.splitlines()) for one in text.split(";\n"))


def made_by_mlflow(folder: Path) -> str:
    import sqlalchemy
    from mlflow.store.db.utils import _initialize_tables

    logging.getLogger("mlflow").setLevel(logging.ERROR)
    engine = sqlalchemy.create_engine(f"sqlite:///{folder / 'own.db'}")
    _initialize_tables(engine)
    engine.dispose()
    return dumped(folder / "own.db")


@pytest.mark.slow
def test_they_are_those_of_the_installed_mlflow(tmp_path: Path) -> None:
    header, _, kept = mlflow_tables.SCHEMA.read_text("utf-8").partition("\n")
    own = statements(made_by_mlflow(tmp_path))
    assert (header, statements(kept)) == (mlflow_tables.header(), own), "this module's first lines say what to do"
    mlflow_tables.make_record_file(tmp_path / "new" / "mlflow.db")
    assert statements(dumped(tmp_path / "new" / "mlflow.db")) == own


def test_a_file_that_is_there_stays_as_it_is(tmp_path: Path) -> None:
    (path := tmp_path / "mlflow.db").write_bytes(b"")
    mlflow_tables.make_record_file(path)
    assert path.read_bytes() == b""


def test_another_version_makes_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mlflow_tables, "version", lambda _: "3.0.0")
    mlflow_tables.make_record_file(tmp_path / "mlflow.db")
    assert not list(tmp_path.iterdir())


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        mlflow_tables.SCHEMA.write_text(f"{mlflow_tables.header()}\n{made_by_mlflow(Path(folder))}", "utf-8")
