"""Order: what a worker process is told. The plan of a study under a setting, and how its jobs are run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workbench.experiments import sequential
from workbench.models.job import Job
from workbench.study import PlannedJob, Study, StudyProtocol
from workbench.training.machine import CPU, Machine
from workbench.training.record import Progress, Result, job_folder, read_result
from workbench.training.run import run

TrainJob = Callable[[Job, Machine, Path, Path | None, Callable[[Progress], None]], Result]


@dataclass(frozen=True)
class UntilDecided:
    """`--until decided`: seeds only for what is open (see `looks`), with at most so many jobs; None is its default."""

    budget: int | None = None


@dataclass(frozen=True)
class StudyRun:
    """What a worker process is told: the plan, and how its jobs are run."""

    study: Study
    setting: StudyProtocol
    home: Path
    machine: Machine = CPU
    data: Path | None = None
    sets: Mapping[str, Any] | None = None
    train: TrainJob = run

    @property
    def name(self) -> str:
        """The name of the ledger: other changes by `sets` are another plan."""
        return sequential.plan_name(self.study, self.setting, self.sets)

    def cells(self, seeds: int | None = None) -> list[PlannedJob]:
        return self.study.cells(self.setting, seeds, self.sets)

    def folder(self, key: str) -> Path:
        return job_folder(self.home, key)

    def result(self, key: str) -> Result:
        """Of a complete job."""
        return read_result(self.folder(key))

    def find(self, cell: PlannedJob) -> Result | None:
        """The result of a cell; None: its job is not complete."""
        key = cell.job.key
        return self.result(key) if (self.folder(key) / "result.json").exists() else None

    def terms(self, seeds: int | None, until: UntilDecided | None) -> sequential.SequentialSettings | None:
        """Of a study until decided; it begins with the study's own number of seeds where none is given."""
        if until is None:
            return None
        own = 1 + max(cell.seed for cell in self.cells())
        return sequential.SequentialSettings(max(sequential.LEAST, own) if seeds is None else seeds, until.budget)

    def course(self, terms: sequential.SequentialSettings) -> sequential.SequentialState:
        return sequential.follow_looks(self.study, self.setting, self.cells, self.find, terms)

    def asked(self, seeds: int | None, until: UntilDecided | None) -> list[PlannedJob]:
        """Every cell of the plan; until decided, as far as it follows from what is complete."""
        terms = self.terms(seeds, until)
        return self.cells(seeds) if terms is None else self.course(terms).cells
