"""A worker: takes jobs from a queue, one after the other, and says how each of them ended.

HOME/jobs/KEY/            the job's folder (see `training.run`), and here also, beside its claim (see `job_claim`)
    error.txt             the traceback of the last failure
"""

from __future__ import annotations

import math
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from optuna.exceptions import UpdateFinishedTrialError
from optuna.trial import TrialState

from workbench.core.errors import DataFault, Refused, one_line
from workbench.core.faults import machine_fault, of_the_machine
from workbench.core.files import remove_parts
from workbench.experiments.heartbeat import beating
from workbench.experiments.job_claim import JobClaim, TakenOver
from workbench.experiments.job_files import JobFiles, last_epoch
from workbench.experiments.object_store import Away
from workbench.experiments.owners import owner_id
from workbench.experiments.queued_job import queued_job
from workbench.experiments.stores import Store
from workbench.experiments.trial_table import JOB, Attempt, TrialTable
from workbench.training.record import Progress, Result, job_folder
from workbench.training.rung import Paused

if TYPE_CHECKING:
    from optuna.storages import RDBStorage

    from workbench.models.job import Job  # and with it torch, which takes seconds

FAULTY = "faulty"  # the outcome of a job whose files can not be used

# How a worker trains a job up to an epoch (0: to the end) and tells of its progress.
Train = Callable[["Job", Callable[[Progress], None], int], Result | Paused]
Ending = tuple[TrialState, Sequence[float] | None]  # how Optuna calls the end of an attempt, and its value


@dataclass(frozen=True)
class JobWorker:
    """Who works on the jobs of one queue.

    Fields:
        home, store, files: the folder of runs, where the queue lies, and where the folders of jobs do.
        storage, table: its trials, as Optuna has them and as a queue reads them.
    """

    home: Path
    store: Store
    files: JobFiles
    storage: RDBStorage
    table: TrialTable

    def work(self, train: Train, once: bool = False) -> None:
        """Does the jobs that wait until none does; `once`: one of them."""
        while (attempt := self._taken()) is not None:
            with suppress(UpdateFinishedTrialError):  # it was not heard for so long that it was given up
                self._try(train, attempt)
            if once:
                return

    def _taken(self) -> Attempt | None:
        self.files.check()  # of who can not reach them nobody would see a result
        return self.table.take(owner_id())

    def _try(self, train: Train, attempt: Attempt) -> None:
        """One attempt, and how it ended. Whatever a job raises ends this attempt alone.

        Raises:
            UpdateFinishedTrialError: it was given up meanwhile; the folder has what it did.
        """
        ending: Ending = (TrialState.FAIL, None)
        try:
            with beating(self.storage, attempt.trial_id):
                ending = self._trained(train, attempt)
        except Exception:
            pass  # the folder of the job and its attributes say what it was
        except BaseException:
            with suppress(UpdateFinishedTrialError):
                self.storage.set_trial_state_values(attempt.trial_id, TrialState.FAIL)
            raise
        self.storage.set_trial_state_values(attempt.trial_id, *ending)

    def _trained(self, train: Train, attempt: Attempt) -> Ending:
        """How an attempt ended that raised nothing."""
        key = attempt.user_attrs.get("key")
        if key is None or JOB not in attempt.user_attrs:  # an earlier version queued it
            return TrialState.PRUNED, None
        folder = job_folder(self.home, key)
        claim = JobClaim(folder, attempt.user_attrs["owner"], attempt.number)
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:  # a file lies there, or nothing can be written
            self._say_end(attempt, error)
            raise
        with self.store.locked(f"jobs/{key}/lock"):  # the same job may be in the queue of another plan
            remove_parts(folder)
            claim.take()
            try:
                job = queued_job(attempt.user_attrs)
                with self.files.in_hand(job, claim.text, claim.tell) as tell:
                    if epoch := last_epoch(folder):
                        self._say(attempt, "begun", epoch)
                    result = train(job, tell, attempt.user_attrs.get("until", 0))
            except Exception as error:
                if isinstance(error, Away):  # others may reach them, and go on
                    self._say(attempt, "note", one_line(error))
                if isinstance(error, Away | TakenOver) or not claim.held:
                    raise
                with suppress(OSError):  # of a full disk, which is what the note says
                    (folder / "error.txt").write_text(traceback.format_exc(), "utf-8")
                self._say_end(attempt, error)
                raise
            finally:
                if claim.held:
                    claim.release()
        (folder / "error.txt").unlink(missing_ok=True)
        if isinstance(result, Paused):
            self._say(attempt, "outcome", "paused")
            return TrialState.PRUNED, None
        self._say(attempt, "outcome", "complete")
        return TrialState.COMPLETE, [recorded_value(result)]

    def _say_end(self, attempt: Attempt, error: Exception) -> None:
        """How a job ended, in a line, for whoever shows it."""
        self._say(attempt, "note", machine_fault(error) or one_line(error))
        self._say(attempt, "outcome", _outcome(error))

    def _say(self, attempt: Attempt, name: str, value: str | int) -> None:
        self.storage.set_trial_user_attr(attempt.trial_id, name, value)


def recorded_value(result: Result) -> float:
    """What Optuna records as the trial's value; it takes no nan."""
    ap = float(result.metrics.get("AP", 0.0))
    return ap if math.isfinite(ap) else 0.0


def _outcome(error: Exception) -> str:
    """What files or the machine are at fault for says nothing of the job: the next command tries it again."""
    if isinstance(error, DataFault) or of_the_machine(error):
        return FAULTY
    return "infeasible" if isinstance(error, Refused) else "failed"
