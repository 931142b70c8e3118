"""For the tests of the command line: every command with the words that call it, and what a command calls."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command

from workbench.cli.app import commands
from workbench.cli.studies import RUN
from workbench.core.skeletons import COCO
from workbench.data.datasets.classes import DataClasses
from workbench.data.datasets.keypoints import DataKeypoints
from workbench.training.record import write_result

_made = cache(get_command)
# What a search asks of the folder of a data set, for `watch`.
A_FOLDER = {
    "workbench.experiments.changes.dataset_fingerprint": "folder@1",
    "workbench.experiments.changes.dataset_keypoints": DataKeypoints(COCO, "COCO's"),
    "workbench.experiments.changes.dataset_classes": DataClasses(("person",), {}),
}


def all_commands() -> Iterator[tuple[tuple[str, ...], TyperCommand]]:
    """Each command behind the words that call it, as in ("study", "status")."""
    yield from _within((), _made(commands))


def _within(words: tuple[str, ...], command: Any) -> Iterator[tuple[tuple[str, ...], TyperCommand]]:
    if not isinstance(command, TyperGroup):
        yield words, command
        return
    for name, inner in command.commands.items():
        yield from _within(words if name == RUN else (*words, name), inner)


def options_of(*words: str) -> set[str]:
    """The long names of the options that a command takes."""
    return {opt for p in dict(all_commands())[words].params for opt in p.opts if opt.startswith("--")}


def watch(monkeypatch: pytest.MonkeyPatch, answers: Mapping[str, Any]) -> list[tuple[Any, ...]]:
    """Puts functions of ours, by their full names, in the place of what only gives an answer; collects their calls."""
    calls: list[tuple[Any, ...]] = []
    for name, answer in answers.items():
        monkeypatch.setattr(name, _Watched(name, answer, calls))
    return calls


class _Watched:
    def __init__(self, name: str, answer: Any, calls: list[tuple[Any, ...]]) -> None:
        self.name, self.answer, self.calls = name, answer, calls

    def __call__(self, *values: Any, **named: Any) -> Any:
        self.calls.append((self.name, values, named))
        return self.answer


def complete_job(home: Path) -> None:
    """A job that is complete in a home, of no study: commands that look at complete ones then look closer."""
    folder = home / "jobs" / ("0" * 12)
    folder.mkdir(parents=True)
    write_result(folder, folder.name, {}, {})
