"""Order: what a worker process is told. The plan of a study under a setting, and how its jobs are run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workbench import looks
from workbench.run import Progress, Result, read, run
from workbench.study import Cell, Setting, Study
from workbench.train import Machine
from workbench.variant import Job

CPU = Machine()
Train = Callable[[Job, Machine, Path, Path | None, Callable[[Progress], None]], Result]


@dataclass(frozen=True)
class Decided:
    """`--until decided`: seeds only for what is open (see `looks`), with at most so many jobs; None is its default."""

    budget: int | None = None


@dataclass(frozen=True)
class Order:
    """What a worker process is told: the plan, and how its jobs are run."""

    study: Study
    setting: Setting
    home: Path
    machine: Machine = CPU
    data: Path | None = None
    sets: Mapping[str, Any] | None = None
    train: Train = run

    @property
    def name(self) -> str:
        """The name of the ledger: other changes by `sets` are another plan."""
        return looks.name_of(self.study, self.setting, self.sets)

    def cells(self, seeds: int | None = None) -> list[Cell]:
        return self.study.cells(self.setting, seeds, self.sets)

    def folder(self, key: str) -> Path:
        return self.home / "jobs" / key

    def result(self, key: str) -> Result:
        """Of a complete job."""
        return read(self.folder(key))

    def find(self, cell: Cell) -> Result | None:
        """The result of a cell; None: its job is not complete."""
        key = cell.job.key
        return self.result(key) if (self.folder(key) / "result.json").exists() else None

    def terms(self, seeds: int | None, until: Decided | None) -> looks.Terms | None:
        """Of a study until decided; it begins with the study's own number of seeds where none is given."""
        if until is None:
            return None
        own = 1 + max(cell.seed for cell in self.cells())
        return looks.Terms(max(looks.LEAST, own) if seeds is None else seeds, until.budget)

    def course(self, terms: looks.Terms) -> looks.Course:
        return looks.course(self.study, self.setting, self.cells, self.find, terms)

    def asked(self, seeds: int | None, until: Decided | None) -> list[Cell]:
        """Every cell of the plan; until decided, as far as it follows from what is complete."""
        terms = self.terms(seeds, until)
        return self.cells(seeds) if terms is None else self.course(terms).cells
