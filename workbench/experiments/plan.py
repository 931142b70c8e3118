"""The run of a study: what is planned, where it lies and what it is called. Made and checked once, handed on whole.

HOME/jobs/KEY/            the folder of a job
HOME/until/NAME.json      how seeds are added, where the study was first run until decided
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import KW_ONLY, asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from workbench.core.errors import Refused
from workbench.core.files import write_whole
from workbench.experiments.changes import ChangedJobs, check_amounts
from workbench.study import PlannedJob, Study, StudyProtocol
from workbench.training.record import Result, is_complete, job_folder, read_result


@dataclass(frozen=True)
class UntilDecided:
    """`--until decided`: seeds are added while a claim is open, with at most so many jobs; None is twice the first."""

    budget: int | None = None


@dataclass(frozen=True)
class SequentialSettings:
    """Of a study until decided: seeds per row of the first round, and jobs at most (None: twice those of it)."""

    seeds: int
    budget: int | None = None


@dataclass(frozen=True)
class StudyRun(ChangedJobs):
    """A study under a protocol, with everything else that a command may say of it.

    Fields:
        home: the folder that holds jobs, queue and records.
        seeds: per row, until decided of the first round; None is the study's own.
        first_seed: of each row. Others repeat a study with all that chance decides.
        until: when to stop adding seeds; None adds none.
        rows: labels of those that are run, as the same jobs as with all others; () is all.

    Raises:
        Refused: no such row, or some rows until decided; a change that leads nowhere, has an option of its own, or
            makes one job of two; frozen trunks that can not serve the study or the data.
    """

    study: Study
    protocol: StudyProtocol
    home: Path
    _: KW_ONLY
    seeds: int | None = None
    first_seed: int = 0
    until: UntilDecided | None = None
    rows: tuple[str, ...] = ()
    _planned: dict[int, list[PlannedJob]] = field(default_factory=dict, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if self.data is not None and self.protocol.trunks:
            raise Refused(
                f"--data {self.data}: protocol {self.protocol.name} stands on trunks of the embedded scenes; "
                "add a protocol that trains from scratch, such as --protocol smoke or laptop"
            )
        labels = [row.label for row in self.study.rows]
        if unknown := [label for label in self.rows if label not in labels]:
            raise Refused(f"--rows {unknown[0]}: {self.study.name} has no such row; there are {labels}")
        if self.rows and self.until is not None:
            raise Refused("--rows, --until decided: claims decide which rows get seeds; leave one of them out")
        super().__post_init__()
        plain = self._plan(self.seed_count, {}, f"study {self.study.name} under protocol {self.protocol.name}:")
        planned = self._plan(self.seed_count, self.job_changes, "--set") if self.job_changes else plain
        _check_keys(plain, planned, self.changes)
        for one in planned if self.protocol.trains else ():
            check_amounts(one.job, self.changes)
        self._planned[self.seed_count] = planned

    @property
    def seed_count(self) -> int:
        """Seeds per row, until decided of the first round."""
        return self.seeds or self.study.seeds_under(self.protocol)

    @cached_property
    def name(self) -> str:
        """The plan's name where its queue and its settings are kept."""
        return self.place(self.study.name, self.protocol.name)

    @cached_property
    def stem(self) -> str:
        """How the files of its report begin."""
        return self.file_stem(self.study.name, self.protocol.name)

    @property
    def terms(self) -> list[tuple[str, Any]]:
        """The changes, and where seeds begin if not at 0."""
        return sorted({**self.given_changes, **({"first_seed": self.first_seed} if self.first_seed else {})}.items())

    def jobs(self, seeds: int | None = None) -> list[PlannedJob]:
        """Every job with so many seeds per row; None: as many as were asked for."""
        count = seeds or self.seed_count
        if count not in self._planned:
            self._planned[count] = self._plan(count, self.job_changes, "--set")
        return list(self._planned[count])

    def _plan(self, seeds: int, changes: Mapping[str, Any], blamed: str) -> list[PlannedJob]:
        try:
            planned = self.study.planned_jobs(self.protocol, seeds, changes, self.first_seed)
            return [one for one in planned if not self.rows or one.row in self.rows]
        except KeyError as error:
            raise Refused(f"{blamed} {error.args[0]}") from None

    def folder(self, key: str) -> Path:
        return job_folder(self.home, key)

    def complete(self, key: str) -> bool:
        """Whether the job of this key is done, by this plan or another one."""
        return is_complete(self.folder(key))

    def result(self, planned: PlannedJob) -> Result | None:
        """The result of a job; None: it is not complete."""
        key = planned.job.key
        return read_result(self.folder(key)) if self.complete(key) else None

    @property
    def _settings_file(self) -> Path:
        return self.home / "until" / f"{self.name}.json"

    def write_settings(self, settings: SequentialSettings) -> None:
        """Keeps how seeds are added, so that whoever runs or reads the study later takes the same looks."""
        with write_whole(self._settings_file) as part:
            part.write_text(json.dumps(asdict(settings)))

    def read_settings(self) -> SequentialSettings | None:
        """How seeds were added; None if the study was never run until decided."""
        path = self._settings_file
        return SequentialSettings(**json.loads(path.read_text())) if path.exists() else None


def _check_keys(plain: list[PlannedJob], planned: list[PlannedJob], changes: Mapping[str, Any]) -> None:
    """Each seed and trunk of a row has a job of its own. Rows share one only where the study declares them equal.

    One run that counts as several would be seeds, trunks or rows that agree because they are the same.

    Args:
        plain: the jobs without changes, in the same order.
    """
    first: dict[str, int] = {}
    for i, one in enumerate(planned):
        j = first.setdefault(one.job.key, i)
        other = planned[j]
        if j != i and (other.row == one.row or plain[i].job.key != plain[j].job.key):
            said = ", ".join(f"--set {path}={value}" for path, value in changes.items())
            raise Refused(
                f"{said or 'the study'}: {other.title!r} and {one.title!r} would be one job, counted twice; "
                + ("leave out what makes them equal" if said else "give them something that differs")
            )
