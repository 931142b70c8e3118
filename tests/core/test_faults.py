"""Faults of the machine are one line that names the file and says what to do."""

from __future__ import annotations

import errno
import sqlite3
import subprocess
import sys
from pathlib import Path

import optuna
import pytest
import typer

from workbench.__main__ import main
from workbench.cli import app
from workbench.core.errors import Refused
from workbench.core.faults import machine_fault, of_the_machine

FULL = """
import resource, sys
from pathlib import Path
from workbench.core.faults import machine_fault
from workbench.core.files import write_whole
resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))
try:
    with write_whole(Path(sys.argv[1])) as part:
        part.write_bytes(bytes(1 << 22))
except OSError as error:
    print(machine_fault(error))
"""


def test_a_file_that_can_not_be_written_whole_is_named_and_leaves_no_part(tmp_path: Path) -> None:
    """As where the disk is full."""
    path = tmp_path / "checkpoint.pt"
    path.write_text("the last good one")
    found = subprocess.run([sys.executable, "-c", FULL, str(path)], capture_output=True, text=True)
    assert found.stdout.startswith(f"{path}: File too large; make room there and run the same command again"), found
    assert [one.name for one in tmp_path.iterdir()] == ["checkpoint.pt"] and path.read_text() == "the last good one"


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EACCES, errno.EISDIR, errno.EIO, errno.EEXIST])
def test_an_error_of_the_system_is_a_line(number: int) -> None:
    error = OSError(number, "it can not be", "/a/file")
    later = RuntimeError("something else")
    later.__cause__ = error
    for one in (error, later):
        said = machine_fault(one)
        assert said is not None and said.startswith("/a/file: it can not be; ") and "the same command again" in said
        assert of_the_machine(one)


@pytest.mark.parametrize("error", [ValueError("a"), FileNotFoundError(errno.ENOENT, "a", "b"), RuntimeError("a")])
def test_an_error_of_the_code_is_none(error: Exception) -> None:
    assert machine_fault(error) is None and not of_the_machine(error)


@pytest.mark.parametrize(
    ("said", "line"),
    [
        ("database disk image is malformed", "can not be used .*; move it away: it only says which jobs wait"),
        ("database is locked", "is held by another process .*; end that, or wait"),
        ("database or disk is full", "can not be written .*; make room"),
        ("attempt to write a readonly database", "can not be written"),
    ],
)
def test_a_database_is_named(said: str, line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORKBENCH_HOME", str(tmp_path))
    error = sqlite3.DatabaseError(said)
    wrapped = optuna.exceptions.StorageInternalError("invalid data in the commit")
    wrapped.__cause__ = error
    assert str(machine_fault(error)).startswith(f"{tmp_path / 'mlflow.db'} ")
    monkeypatch.setattr(app, "commands", failing(wrapped))
    assert main(["study"]) == 2
    found = machine_fault(wrapped)
    assert found is not None and found.startswith(f"{tmp_path / 'optuna.db'} ")
    with pytest.raises(Refused, match=line):
        raise Refused(found)


def failing(error: Exception) -> typer.Typer:
    """Commands of which one ends with an error."""
    made = typer.Typer()

    @made.command("other")
    def other() -> None: ...

    @made.command("study")
    def study() -> None:
        raise error

    return made


def test_other_errors_keep_their_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(app, "commands", failing(KeyError("a")))
    with pytest.raises(KeyError):
        main(["study"])
