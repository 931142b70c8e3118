"""The run of a search: what is searched, under which limits, for how long, and where it lies. Checked once.

HOME/searches/NAME/    its log (see `search.log`), and the limits and the budget that it was last run with
HOME/jobs/KEY/         the folder of each job, shared with all studies
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import KW_ONLY, dataclass, field, replace
from functools import cached_property
from pathlib import Path

from workbench.core.errors import Refused
from workbench.core.files import write_whole
from workbench.experiments.changes import ChangedJobs
from workbench.models.job import Job, Protocol
from workbench.space import COSTS, Candidate, Search
from workbench.study import PlannedJob, StudyProtocol
from workbench.training.record import Result, is_complete, job_folder, read_result
from workbench.training.rung import rung_epoch

SETTINGS = ("limits", "budget", "sampler", "seed")  # what a search may be run with another time; it stays the same one
SURROGATE = "surrogate"  # our own proposer; the others are Optuna's
SAMPLERS = (SURROGATE, "tpe", "nsga2", "nsga3", "random")
BUDGET = 60.0  # minutes of training on one core, where none are asked for
SMOKE = 8  # candidates under `smoke`, which only proves that everything runs
SEEDS = 3  # of every candidate of the front in the end
BEGIN = 0.33  # share of the budget for candidates up to the rung, where there is one
EXPLORE = (0.5, 0.75)  # shares of the budget, at least and at most, after which only the front is trained on, by seeds


@dataclass(frozen=True)
class SearchRun(ChangedJobs):
    """A search under a protocol, with everything else that a command may say of it.

    Fields:
        home: the folder that holds jobs, queue and records.
        limits: largest costs, over those of the search.
        budget: minutes of training on one core, all jobs together.
        sampler: who proposes, of `SAMPLERS`; seed: of its choices.

    Raises:
        Refused: a protocol that does not train whole networks, an unknown cost or sampler, a change that leads nowhere.
    """

    search: Search
    protocol: StudyProtocol
    home: Path
    _: KW_ONLY
    limits: Mapping[str, float] = field(default_factory=dict)
    budget: float = BUDGET
    sampler: str = SURROGATE
    seed: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        for name, most in self.limits.items():
            if name not in COSTS:
                raise Refused(f"--max {name}={most:g}: {name!r} is not measured; there are {', '.join(COSTS)}")
            if not most > 0:
                raise Refused(f"--max {name}={most:g}: must be above 0")
        if self.sampler not in SAMPLERS:
            raise Refused(f"--sampler {self.sampler}: there are {', '.join(SAMPLERS)}")
        if not self.budget > 0:
            raise Refused(f"--budget: {self.budget:g} minutes; must be above 0")
        protocol = self.job_protocol
        if self.search.rungs[0] < 1 and not self._smokes:
            rung_epoch(protocol, self.search.rungs[0])

    @cached_property
    def any_job(self) -> Job:
        """The job of the first candidate that is possible: of what all have in common.

        Raises:
            Refused: none is, or the protocol or a change suits none.
        """
        for candidate in self.search.space.candidates:
            with suppress(Refused):
                return self.planned(candidate).job
        return self.planned(self.search.space.candidates[0]).job  # which says why

    @property
    def job_protocol(self) -> Protocol:
        """What every job trains under, with the changes."""
        return self.any_job.protocol

    @property
    def most(self) -> int:
        """Candidates that are proposed at most."""
        return SMOKE if self._smokes else len(self.search.space)

    @property
    def rung(self) -> int:
        """The epoch after which new candidates pause; 0: they do not. Optuna's samplers know no pauses."""
        if self.search.rungs[0] == 1 or self.sampler != SURROGATE:
            return 0
        return 1 if self._smokes else rung_epoch(self.job_protocol, self.search.rungs[0])

    @property
    def _smokes(self) -> bool:
        """Whether it only proves that everything runs, pauses after the first of its few epochs among it."""
        return self.protocol.name == "smoke"

    @property
    def all_limits(self) -> dict[str, float]:
        """Largest costs, by name."""
        return {**self.search.limits, **self.limits}

    @cached_property
    def name(self) -> str:
        """Of its log and its queue. Other limits are no other search."""
        return self.place(self.search.name, self.protocol.name)

    @cached_property
    def stem(self) -> str:
        """How the files of its report begin."""
        return self.file_stem(self.search.name, self.protocol.name)

    def write_settings(self) -> None:
        """Keeps what the search is run with, so that whoever reads it later knows that."""
        with write_whole(self._settings_file) as part:
            part.write_text(json.dumps({name: getattr(self, name) for name in SETTINGS}))

    def as_run(self) -> SearchRun:
        """This search with what it was last run with; itself where it never was."""
        path = self._settings_file
        return replace(self, **json.loads(path.read_text())) if path.exists() else self

    @property
    def _settings_file(self) -> Path:
        return self.log_folder / "settings.json"

    @property
    def log_folder(self) -> Path:
        return self.home / "searches" / self.name

    def planned(self, candidate: Candidate, seed: int = 0) -> PlannedJob:
        """The job of a candidate.

        Raises:
            Refused: it is impossible.
        """
        return self.search.planned(candidate, self.protocol, seed, self.job_changes)

    def folder(self, key: str) -> Path:
        return job_folder(self.home, key)

    def result(self, key: str) -> Result | None:
        """The result of a job, whoever asked for it; None: it is not complete."""
        folder = self.folder(key)
        return read_result(folder) if is_complete(folder) else None
