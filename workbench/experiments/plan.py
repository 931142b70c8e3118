"""The run of a study: what is planned, where it lies and what it is called. Made and checked once, handed on whole.

HOME/jobs/KEY/            the folder of a job
HOME/until/NAME.json      how seeds are added, where the study was first run until decided
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import KW_ONLY, asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from workbench.core.errors import Refused
from workbench.core.files import write_whole
from workbench.data.datasets.classes import DataClasses
from workbench.data.datasets.folder import dataset_classes, dataset_fingerprint, dataset_keypoints
from workbench.data.datasets.keypoints import DataKeypoints
from workbench.models.job import EMBEDDED
from workbench.study import PlannedJob, Study, StudyProtocol
from workbench.training.record import Result, is_complete, job_folder, read_result

DATA_SET = "protocol.data"
KEYPOINT_SET, NUM_KEYPOINTS = "variant.keypoint_set", "variant.num_keypoints"
NUM_CLASSES = "variant.num_classes"
RESERVED = {
    "seed": "--seeds N",
    "start": "--protocol NAME",
    "protocol.trunk": "--protocol NAME",
    DATA_SET: "--data FOLDER",
}
READABLE = 80  # characters of the changes that a file's name shows; a digest of all of them follows


@dataclass(frozen=True)
class UntilDecided:
    """`--until decided`: seeds are added while a claim is open, with at most so many jobs; None is twice the first."""

    budget: int | None = None


@dataclass(frozen=True)
class SequentialSettings:
    """Of a study until decided: seeds per row of the first round, and jobs at most (None: twice those of it)."""

    seeds: int
    budget: int | None = None


def data_changes(keypoints: DataKeypoints | None, classes: DataClasses | None) -> dict[str, Any]:
    """What the data set of a folder changes of every job: its key points, and its classes where there are several."""
    found = {} if keypoints is None else {KEYPOINT_SET: keypoints.skeleton, NUM_KEYPOINTS: len(keypoints.skeleton)}
    if classes is not None and len(classes.names) > 1:
        found[NUM_CLASSES] = len(classes.names)
    return found


@dataclass(frozen=True)
class StudyRun:
    """A study under a protocol, with everything else that a command may say of it.

    Fields:
        home: the folder that holds jobs, queue and records.
        data: the folder of the data set; None for the embedded scenes.
        fingerprint: what jobs call that data set. It is computed from `data`; given alone, it stands for a folder that
            is not at hand, which is enough to read a record; key points other than COCO's are to be among the changes.
        changes: of every job, by dotted path, components by name.
        seeds: per row, until decided of the first round; None is the study's own.
        first_seed: of each row. Others repeat a study with all that chance decides.
        until: when to stop adding seeds; None adds none.

    Raises:
        Refused: a change that leads nowhere, has an option of its own, or makes one job of two; frozen trunks that can
            not serve the study or the data.
    """

    study: Study
    protocol: StudyProtocol
    home: Path
    _: KW_ONLY
    data: Path | None = None
    fingerprint: str = ""
    changes: Mapping[str, Any] = field(default_factory=dict)
    seeds: int | None = None
    first_seed: int = 0
    until: UntilDecided | None = None
    _planned: dict[int, list[PlannedJob]] = field(default_factory=dict, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        check_options(self.changes, embedded=self.data is None and not self.fingerprint)
        if self.data is not None and self.protocol.trunks:
            raise Refused(
                f"--data {self.data}: protocol {self.protocol.name} stands on trunks of the embedded scenes; "
                "add a protocol that trains from scratch, such as --protocol smoke or laptop"
            )
        if self.data is not None and not self.fingerprint:
            object.__setattr__(self, "fingerprint", dataset_fingerprint(self.data))
        plain = self._plan(self.seed_count, {}, f"study {self.study.name} under protocol {self.protocol.name}:")
        planned = self._plan(self.seed_count, self.job_changes, "--set") if self.job_changes else plain
        _check_keys(plain, planned, self.changes)
        self._planned[self.seed_count] = planned

    @property
    def seed_count(self) -> int:
        """Seeds per row, until decided of the first round."""
        return self.seeds or self.study.seeds_under(self.protocol)

    @cached_property
    def keypoints(self) -> DataKeypoints | None:
        """Those of the data set; None without its folder."""
        return None if self.data is None else dataset_keypoints(self.data)

    @cached_property
    def classes(self) -> DataClasses | None:
        """Those of the data set; None without its folder."""
        return None if self.data is None else dataset_classes(self.data)

    @property
    def job_changes(self) -> dict[str, Any]:
        """What is changed of every job: its key points and classes to those of the data set, and `given_changes`."""
        return {**data_changes(self.keypoints, self.classes), **self.given_changes}

    @property
    def given_changes(self) -> dict[str, Any]:
        """`changes` and the data set, which decides its key points."""
        return {**self.changes, **({DATA_SET: self.fingerprint} if self.fingerprint else {})}

    @cached_property
    def name(self) -> str:
        """The plan's name where its queue and its settings are kept. Other changes are another plan."""
        return "/".join([self.study.name, self.protocol.name, *self._digest()])

    @cached_property
    def stem(self) -> str:
        """How the files of its report begin: shorter than 120 characters, the names of study and protocol aside."""
        said = "_".join(f"{path}={value}" for path, value in self.terms)
        readable = re.sub(r"[^\w.]+", "-", said, flags=re.ASCII)[:READABLE]
        return "_".join([self.study.name, self.protocol.name, *([readable] if said else []), *self._digest()])

    def _digest(self) -> list[str]:
        """Of all that is unlike the plain plan, in whatever order it is given; empty without any."""
        return [hashlib.sha256(repr(self.terms).encode()).hexdigest()[:8]] if self.terms else []

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
            return self.study.planned_jobs(self.protocol, seeds, changes, self.first_seed)
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


def check_options(changes: Mapping[str, Any], embedded: bool) -> None:
    """What tells two planned jobs apart can not be changed of all of them. Other embedded scenes have no option."""
    for path in changes:
        if path == DATA_SET and embedded and changes[path] in EMBEDDED:
            continue
        for taken, option in RESERVED.items():
            if taken == path or taken.startswith(f"{path}.") or path.startswith(f"{taken}."):
                raise Refused(f"--set {path}={changes[path]}: {taken} has an option of its own; use {option}")


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
